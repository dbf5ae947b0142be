//! Choosing the method that averages the gradients of a trainer.

use std::collections::BTreeSet;

use ternflock_collectives::topology::Topology;

use super::Trainer;
use crate::exchange::method::{self, Method};
use crate::exchange::{Choice, Exchange, Slots, rows_read, with_gradients};
use crate::step::statistics::STATISTICS;
use ternflock_base::error::{Error, Result};
use ternflock_job::{self as job, Gradients, Job, Strengths};
use ternflock_nn::{Graph, Network};
use ternflock_optim::{STATE_NAMES, state_names};
use ternflock_world::World;

/// The exchange of the gradients of `network` with the settings `settings` in a stage of `job`, by `method` or by the one
/// that `settings` name.
///
/// # Errors
/// Those of [`Exchange::with_method`]; [`Error::Usage`] when a slot of the method has another owner in checkpoints.
pub(super) fn exchange(
    method: Option<&'static dyn Method>,
    settings: &job::Exchange,
    job: &Job,
    network: &Network,
    topology: Topology,
) -> Result<Exchange> {
    let method = method.unwrap_or_else(|| method::of(settings.gradients));
    let (graph, parameters) = (network.graph(), &network.parameters);
    let mut exchange = Exchange::with_method(method, settings, job.train.seed, graph, parameters, topology)?;
    exchange.bound_rows(rows_of_an_exchange(job, graph));
    check_slots(&exchange)?;
    Ok(exchange)
}

/// The most rows of an embedding that have a gradient in an exchange of `job`, or that have moved since the one before.
pub(super) fn rows_of_an_exchange(job: &Job, graph: &Graph) -> usize {
    let every = job.exchange.every;
    if every > 1 && moves_unread_rows(job) {
        return usize::MAX;
    }
    rows_read(graph, job.train.global_batch.saturating_mul(every as usize))
}

/// Whether a step can also move parameters whose gradient is zero.
fn moves_unread_rows(job: &Job) -> bool {
    let (optimizer, sparsity) = (&job.optimizer, &job.sparsity);
    !state_names(&optimizer.kind).is_empty()
        || optimizer.weight_decay > 0.0
        || sparsity.l1 > 0.0
        || sparsity.strengths != Strengths::default()
}

/// Refuses slots that checkpoints use for the optimizer or for the statistics of each rank, because both
/// would share a group.
fn check_slots(exchange: &Exchange) -> Result<()> {
    let owner = |slot: &str| match slot {
        STATISTICS => Some("the running statistics of each rank"),
        slot => STATE_NAMES.contains(&slot).then_some("optimizers"),
    };
    match exchange.state().find_map(|state| Some((state.slot, owner(state.slot)?))) {
        None => Ok(()),
        Some((slot, owner)) => Err(Error::Usage(format!(
            "the averaging method `{}` keeps its state in the slot `{slot}`, which is that of {owner} in checkpoints: \
             give the slot another name",
            exchange.method().name()
        ))),
    }
}

impl Trainer {
    /// The exchange, to read its figures.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The exchange, to restore the state of its method.
    pub fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// If the job leaves the choice to the ranks, chooses together with all of them how gradients are
    /// averaged, and gives the reason; `resumed_choice` is the earlier choice of a resumed run. A method that was set by
    /// [`Trainer::set_method`] stays.
    ///
    /// # Errors
    /// Those of measuring the links between the ranks, and of [`Trainer::set_exchange`].
    pub fn choose_exchange(
        &mut self,
        world: &mut World,
        resumed_choice: Option<Gradients>,
    ) -> Result<Option<String>> {
        let asked = self.job.exchange.clone();
        let is_open = asked.gradients == Gradients::Auto && self.exchange.replaced_method().is_none();
        let choice = if is_open {
            let (graph, table) = (self.network.graph(), &self.network.parameters.table);
            self.exchange.choose_method(&asked, graph, table, world, resumed_choice)?
        } else {
            self.exchange.choose(&asked, world, resumed_choice)?
        };
        let Some(Choice { gradients, algorithm, coding, mut reason }) = choice else { return Ok(None) };
        if gradients != self.exchange.gradients() {
            reason.push_str(&self.switch(&with_gradients(&asked, gradients), world.topology())?);
        }
        self.exchange.set_algorithm(algorithm);
        self.exchange.set_coding(coding);
        Ok(Some(reason))
    }

    /// Averages gradients by `gradients`, which the run has chosen before, if its job leaves the choice to the ranks. So
    /// the state of the method can be restored before [`Trainer::choose_exchange`].
    ///
    /// # Errors
    /// Those of [`Trainer::set_exchange`].
    pub(crate) fn resume_choice(&mut self, gradients: Gradients, topology: Topology) -> Result<()> {
        let asked = &self.job.exchange;
        if asked.gradients != Gradients::Auto || gradients == self.exchange.gradients() {
            return Ok(());
        }
        self.set_exchange(&with_gradients(asked, gradients), topology)
    }

    /// [`Trainer::set_exchange`] with the state that both methods keep. Returns a remark on any other.
    fn switch(&mut self, exchange: &job::Exchange, topology: Topology) -> Result<String> {
        let held: BTreeSet<&str> = self.exchange.state().map(|state| state.slot).collect();
        let slots = Slots::of(&self.exchange, &self.network.parameters.table);
        self.set_exchange(exchange, topology)?;
        let mut lost = slots.restore(&mut self.exchange, &self.network.parameters.table);
        let kept: BTreeSet<&str> = self.exchange.state().map(|state| state.slot).collect();
        lost.extend(held.difference(&kept));
        // Before the first step there is nothing to lose.
        let lost: Vec<&str> = lost.into_iter().filter(|_| self.step > 0).collect();
        Ok(match lost.is_empty() {
            true => String::new(),
            false => format!("; the state `{}` of the previous method is dropped", lost.join("`, `")),
        })
    }

    /// Averages gradients as set by `exchange` from now on. The state of the present method is dropped.
    ///
    /// # Errors
    /// Those of [`Trainer::set_method`].
    pub fn set_exchange(&mut self, exchange: &job::Exchange, topology: Topology) -> Result<()> {
        self.set_method(method::of(exchange.gradients), exchange, topology)
    }

    /// [`Trainer::set_exchange`] with `method` in place of the one that `exchange` names.
    ///
    /// # Errors
    /// [`Error::Usage`] when a layer to keep in float32 does not exist, or when a slot of the method's state
    /// has the name of an optimizer's slot.
    pub fn set_method(
        &mut self,
        method: &'static dyn Method,
        exchange: &job::Exchange,
        topology: Topology,
    ) -> Result<()> {
        self.exchange = self::exchange(Some(method), exchange, &self.job, &self.network, topology)?;
        Ok(())
    }
}
