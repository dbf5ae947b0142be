//! From one stage to the next: other settings, and the network that surgery has left, with everything that belongs to its
//! parameters.

use ternflock_collectives::topology::Topology;

use super::{LocalSteps, Trainer, averaging, execution};
use crate::exchange::{Slots, with_gradients};
use ternflock_base::error::Result;
use ternflock_compress::force::Force;
use ternflock_compress::group_lasso::GroupLasso;
use ternflock_compress::operation::Operation;
use ternflock_compress::zeros::FrozenZeros;
use ternflock_job::{Gradients, Job};
use ternflock_nn::{Graph, Network};
use ternflock_optim::{Optimizer, Plateau, State};

impl Trainer {
    /// Replaces the network by the one that `operation` has made of it, and continues with the settings `job`; with
    /// `freeze_zeros`, weights that are zero stay zero.
    ///
    /// Everything that belongs to the parameters is carried over, each number to the place of its parameter: the values and
    /// the running statistics, the optimizer state, the state of the averaging method, and the state of recurrent layers.
    /// Returns a note for each state that cannot be carried over.
    ///
    /// # Errors
    /// Those of [`Trainer::new`].
    pub fn transplant(
        &mut self,
        operation: &Operation,
        job: Job,
        freeze_zeros: bool,
        topology: Topology,
    ) -> Result<Vec<String>> {
        let parameters = &self.network.parameters;
        let statistics = operation.take_statistics(&parameters.statistics.values);
        let states = self.optimizer.states().iter();
        let states = states.map(|State { name, values }| State { name, values: operation.take(values) });
        let states: Vec<State> = states.collect();
        // An exchange for the same network is not rebuilt, and keeps its state.
        let slots = (operation.graph != *self.network.graph())
            .then(|| Slots::of(&self.exchange, &parameters.table).map(|values| operation.take(values)));
        let recurrent_state = self.recurrent_state().into_iter().filter_map(|(layer, state)| {
            let rows = operation.take_recurrent_state(layer, state.values, state.width)?;
            Some((layer.to_owned(), state.name, rows))
        });
        let recurrent_state: Vec<_> = recurrent_state.collect();

        self.set_up(job, operation.graph.clone(), freeze_zeros, topology)?;

        let mut notes = Vec::new();
        let parameters = &mut self.network.parameters;
        parameters.values.clone_from(&operation.parameters.values);
        parameters.statistics.values = statistics;
        // Moments that are zero, next to others whose steps are counted already, would be far too small for those steps.
        let restarts = self.optimizer.counts_steps() && operation.begins_anew();
        if self.take_over(states, restarts) && restarts {
            notes.push("the optimizer's moments start from zero: the new factors have none".into());
        }
        if let Some(slots) = slots {
            let table = &self.network.parameters.table;
            notes.extend(slots.restore(&mut self.exchange, table).into_iter().map(|slot| {
                format!(
                    "the state `{slot}` of the averaging method starts anew: surgery cannot carry it over"
                )
            }));
        }
        for (layer, state) in self.recurrent_state() {
            let held = recurrent_state.iter().find(|(of, name, _)| of == layer && *name == state.name);
            if let Some((_, _, rows)) = held {
                state.values[..rows.len()].copy_from_slice(rows);
            }
        }
        Ok(notes)
    }

    /// Continues with the settings `job` and the same network; with `freeze_zeros`, weights that are zero stay zero. The
    /// optimizer state is carried over if the new optimizer has the same kinds of state.
    ///
    /// # Errors
    /// Those of [`Trainer::new`].
    pub fn change_settings(&mut self, job: Job, freeze_zeros: bool, topology: Topology) -> Result<()> {
        let states = self.optimizer.states().to_vec();
        self.set_up(job, self.network.graph().clone(), freeze_zeros, topology)?;
        self.take_over(states, false);
        Ok(())
    }

    /// Begins a stage of `length` steps at the present step.
    pub(crate) fn begin_stage(&mut self, length: u64) {
        (self.start, self.steps) = (self.step, self.step + length);
    }

    /// Continues with the settings `job`. If `graph` differs from the present network, the network is replaced: the caller must
    /// fill its parameters and the state of the averaging method, which are zero. The optimizer state is always zero.
    ///
    /// # Errors
    /// Those of [`Trainer::new`].
    pub(crate) fn set_up(
        &mut self,
        job: Job,
        graph: Graph,
        freeze_zeros: bool,
        topology: Topology,
    ) -> Result<()> {
        if graph != *self.network.graph() {
            self.network = Network::new(graph, execution(&job, topology.world(), true))?;
            self.compute.change_network(&mut self.network, &topology);
            let method = self.exchange.replaced_method();
            // A choice of the ranks outlives the network.
            let exchange = match job.exchange.gradients {
                Gradients::Auto => with_gradients(&job.exchange, self.exchange.gradients()),
                _ => job.exchange.clone(),
            };
            self.exchange = averaging::exchange(method, &exchange, &job, &self.network, topology.clone())?;
        }
        self.compute.set_up(&job, &mut self.network, freeze_zeros, &topology)?;
        let (graph, parameters) = (self.network.graph(), &self.network.parameters);
        // The stage may have another batch.
        self.exchange.bound_rows(averaging::rows_of_an_exchange(&job, graph));
        self.group_lasso = GroupLasso::of_what_is_left(&job.sparsity, graph, parameters)?;
        self.force = Force::new(&job.force, graph, &parameters.table)?;
        self.frozen = freeze_zeros.then(|| FrozenZeros::new(parameters));
        self.local_steps = LocalSteps::new(job.exchange.every, parameters);
        self.optimizer = Optimizer::new(&job.optimizer, parameters.values.len());
        self.plateau = Plateau::default();
        self.job = job;
        Ok(())
    }

    /// Gives the optimizer the `states` of the previous one if both have the same kinds of state and it does not restart.
    /// Otherwise its state is zero at this step. Returns whether both have the same kinds of state.
    fn take_over(&mut self, states: Vec<State>, restarts: bool) -> bool {
        let names = |states: &[State]| states.iter().map(|state| state.name).collect::<Vec<_>>();
        let keeps_the_same = names(self.optimizer.states()) == names(&states);
        if keeps_the_same && !restarts {
            for (state, before) in self.optimizer.states_mut().iter_mut().zip(states) {
                state.values = before.values;
            }
        } else {
            self.optimizer_start = self.step;
        }
        keeps_the_same
    }
}
