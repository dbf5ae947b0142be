//! One training step, as named phases.

use std::time::Instant;

use ternflock_collectives::topology::Topology;

use crate::exchange::method::{self, Method};
use crate::exchange::{Agreed, Choice, Exchange};
use crate::state::hash::hash_values;
use crate::step::batch::Batch;
use crate::step::compute::Compute;
use crate::step::evaluate::EVALUATION_BATCH;
use ternflock_base::error::{Error, Result};
use ternflock_compress::force::Force;
use ternflock_compress::group_lasso::GroupLasso;
use ternflock_compress::zeros::FrozenZeros;
use ternflock_data::TrainingFeed;
use ternflock_job::{self as job, Algorithm, Gradients, Job, ScheduleKind, Train};
use ternflock_nn::layer::RecurrentState;
use ternflock_nn::{Graph, Network, Shape, Tally};
use ternflock_optim::{Moment, Optimizer, Plateau, learning_rate};
use ternflock_report::{Phases, Task};
use ternflock_tensor::within;
use ternflock_world::World;

/// Everything a step works on.
pub struct Trainer {
    /// The network and its parameters.
    pub network: Network,
    /// The optimizer and its state.
    pub optimizer: Optimizer,
    /// Steps done.
    pub step: u64,
    /// The step that this stage of the run began at; 0 in a run of one stage.
    pub start: u64,
    /// The step that it ends at.
    pub steps: u64,
    /// The step at which the optimizer's state was zero.
    pub optimizer_start: u64,
    /// What the evaluations of this stage have done to the learning rate.
    pub plateau: Plateau,
    group_lasso: Option<GroupLasso>,
    force: Option<Force>,
    frozen: Option<FrozenZeros>,
    exchange: Exchange,
    compute: Compute,
    /// With the settings of this stage.
    job: Job,
}

/// Steps are part of the key of random numbers, which has 40 bits for them.
pub(crate) const LONGEST: u64 = (1 << 40) - 1;

/// The length of a run, or of a stage, in steps.
pub(crate) fn count_steps(train: &Train, samples: usize) -> Result<u64> {
    let steps = match (train.steps, train.epochs) {
        (Some(steps), _) => Some(steps),
        (None, epochs) => {
            let all = epochs.unwrap_or(0).checked_mul(samples as u64);
            all.map(|all| all.div_ceil(train.global_batch as u64))
        }
    };
    steps.filter(|&steps| steps <= LONGEST).ok_or_else(|| {
        Error::Usage(format!(
            "a run is at most {LONGEST} steps long; set train.steps or train.epochs to less"
        ))
    })
}

/// The samples that a rank of `world` computes at a time, at most, where it evaluates or only trains.
pub(crate) fn capacity(job: &Job, world: usize, evaluates: bool) -> usize {
    let size = Batch::of(&job.train).at_a_time(world);
    if job.data.is_text() || !evaluates { size } else { size.max(EVALUATION_BATCH) }
}

/// What a step came to on this rank.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Of this rank's part of the batch.
    pub tally: Tally,
    /// Where its time went.
    pub phases: Phases,
    /// All of its time.
    pub seconds: f64,
    /// What this rank has sent to average gradients.
    pub bytes_sent: u64,
    /// Whether some rank wants to stop now.
    pub stop: bool,
}

impl Trainer {
    /// A trainer of `job` on `feed` at step 0, on the ranks of `topology`, with freshly drawn parameters, whose network has room to
    /// be evaluated too if that is asked for.
    pub fn new(
        job: &Job,
        graph: Graph,
        feed: Box<dyn TrainingFeed>,
        topology: Topology,
        evaluates: bool,
    ) -> Result<Trainer> {
        let mut network = Network::new(graph, capacity(job, topology.world(), evaluates))?;
        network.parameters.initialise(job.train.seed);
        let steps = count_steps(&job.train, feed.samples())?;
        let compute = Compute::new(job, feed, &mut network, &topology)?;
        let exchange =
            Exchange::new(&job.exchange, job.train.seed, network.graph(), &network.parameters, topology)?;
        let parameters = network.parameters.values.len();
        Ok(Trainer {
            optimizer: Optimizer::new(&job.optimizer, parameters),
            group_lasso: GroupLasso::new(&job.sparsity, network.graph(), &network.parameters)?,
            force: Force::new(&job.force, network.graph(), &network.parameters.table)?,
            frozen: None,
            network,
            step: 0,
            start: 0,
            steps,
            optimizer_start: 0,
            plateau: Plateau::default(),
            exchange,
            compute,
            job: job.clone(),
        })
    }

    /// Goes on with the settings `job` from here, on a network of `graph` if that is another: its parameters, the optimizer's
    /// state and what error feedback keeps are then zero, for the caller to fill. `freeze_zeros`: weights that are zero stay so.
    ///
    /// # Errors
    /// Those of [`Trainer::new`].
    pub fn set_up(&mut self, job: Job, graph: Graph, freeze_zeros: bool, topology: Topology) -> Result<()> {
        if graph != *self.network.graph() {
            self.network = Network::new(graph, capacity(&job, topology.world(), true))?;
            self.compute.change_network(&mut self.network, &topology);
            let (seed, parameters) = (job.train.seed, &self.network.parameters);
            self.exchange =
                Exchange::new(&job.exchange, seed, self.network.graph(), parameters, topology.clone())?;
        }
        self.compute.set_up(&job, &mut self.network, freeze_zeros, &topology)?;
        let (graph, parameters) = (self.network.graph(), &self.network.parameters);
        self.group_lasso = GroupLasso::of_what_is_left(&job.sparsity, graph, parameters)?;
        self.force = Force::new(&job.force, graph, &parameters.table)?;
        self.frozen = freeze_zeros.then(|| FrozenZeros::new(parameters));
        self.optimizer = Optimizer::new(&job.optimizer, parameters.values.len());
        self.plateau = Plateau::default();
        self.job = job;
        Ok(())
    }

    /// The settings of this stage.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Samples of a step, over all ranks.
    pub fn global_batch(&self) -> usize {
        self.job.train.global_batch
    }

    /// What the network is trained for.
    pub fn task(&self) -> Task {
        Task::of(self.network.graph().input())
    }

    /// Labels that a step learns from, over all ranks: a sample has one, a sequence one for each of its steps.
    pub fn labels_per_step(&self) -> u64 {
        (self.job.train.global_batch * self.labels_per_sample()) as u64
    }

    /// Labels that an epoch learns from.
    pub fn labels_per_epoch(&self) -> u64 {
        (self.compute.feed.samples() * self.labels_per_sample()) as u64
    }

    fn labels_per_sample(&self) -> usize {
        match self.network.graph().input() {
            Shape::Tokens { steps, .. } => steps,
            _ => 1,
        }
    }

    /// Takes note of an evaluation that came to `loss`, for schedules that heed it. All ranks see the same. Returns the learning
    /// rate if it changes by that.
    pub fn see_evaluation(&mut self, loss: f64) -> Option<f64> {
        let ScheduleKind::Plateau { patience, .. } = self.job.schedule.kind else { return None };
        self.plateau.see(loss, patience).then(|| self.learning_rate(self.step))
    }

    /// Samples of an epoch.
    pub fn training_samples(&self) -> usize {
        self.compute.feed.samples()
    }

    /// Passes over the training set so far.
    pub fn epoch(&self) -> f64 {
        self.epoch_at(self.step)
    }

    /// Passes over the training set when `step` steps are done.
    pub fn epoch_at(&self, step: u64) -> f64 {
        step as f64 * self.job.train.global_batch as f64 / self.compute.feed.samples() as f64
    }

    /// The exchange, for its numbers.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Where the job leaves it to the ranks, chooses together with all of them how gradients are averaged, and says why;
    /// `resumed_choice` is what a resumed run has decided on before. What error feedback keeps of ternaries that are no more is lost.
    pub fn choose_exchange(
        &mut self,
        world: &mut World,
        resumed_choice: Option<Gradients>,
    ) -> Result<Option<String>> {
        let asked = &self.job.exchange;
        if asked.algorithm != Algorithm::Auto || method::of(asked.gradients).algorithms().is_empty() {
            return Ok(None);
        }
        let Some(Choice { gradients, algorithm, reason }) = self.exchange.choose(world, resumed_choice)?
        else {
            return Ok(None);
        };
        if gradients == self.exchange.gradients() {
            self.exchange.set_algorithm(algorithm);
            return Ok(Some(reason));
        }
        self.set_exchange(&job::Exchange { gradients, ..asked.clone() }, world.topology())?;
        Ok(Some(reason))
    }

    /// Averages gradients as `exchange` says from now on. What error feedback has kept is lost.
    ///
    /// # Errors
    /// Those of [`Exchange::new`].
    pub fn set_exchange(&mut self, exchange: &job::Exchange, topology: Topology) -> Result<()> {
        self.set_method(method::of(exchange.gradients), exchange, topology)
    }

    /// [`Trainer::set_exchange`] with `method` in place of the one that `exchange` names.
    ///
    /// # Errors
    /// Those of [`Exchange::new`].
    pub fn set_method(
        &mut self,
        method: &'static dyn Method,
        exchange: &job::Exchange,
        topology: Topology,
    ) -> Result<()> {
        let (graph, parameters) = (self.network.graph(), &self.network.parameters);
        let seed = self.job.train.seed;
        self.exchange = Exchange::with_method(method, exchange, seed, graph, parameters, topology)?;
        Ok(())
    }

    /// What error feedback keeps, for a restart.
    pub fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// The learning rate of step `step`.
    pub fn learning_rate(&self, step: u64) -> f64 {
        let (step, steps) = (step - self.start, self.steps - self.start);
        let moment = Moment { step, steps, epoch: self.epoch_at(step) as u64, cuts: self.plateau.cuts };
        let factor = self.job.schedule.scaling.map_or(1.0, |scaling| scaling.factor(self.global_batch()));
        factor * learning_rate(&self.job.schedule, self.job.optimizer.learning_rate, moment)
    }

    /// Does one step. `stop` is this rank's wish to stop after it; the answer says whether any rank has it.
    ///
    /// # Errors
    /// [`Error::NonFinite`] on all ranks when the loss or a gradient of one is not finite: the parameters are then
    /// still those of the step before. [`Error::Exchange`] when ranks are late or gone.
    pub fn step(&mut self, world: &mut World, stop: bool) -> Result<Step> {
        world.set_context(format_args!("step {}", self.step));
        let mut phases = Phases::default();
        let (start, before) = (Instant::now(), world.traffic().bytes_sent);
        let (tally, agreed) = self.compute_and_average(world, stop, &mut phases)?;
        if let Some(rank) = agreed.non_finite {
            return Err(self.explain_non_finite(world, rank, tally)?);
        }

        let bytes_sent = world.traffic().bytes_sent - before;
        let update = Instant::now();
        self.update();
        phases.update += update.elapsed().as_secs_f64();
        self.step += 1;
        Ok(Step { tally, phases, seconds: start.elapsed().as_secs_f64(), bytes_sent, stop: agreed.stop })
    }

    /// A step whose gradients are averaged by `average`, all at once after the backward pass, to measure the exchange against. Its time
    /// counts as the exchange's; values that are not finite go unnoticed.
    ///
    /// # Errors
    /// Those of computing the gradients, and of `average`.
    pub fn step_by(
        &mut self,
        world: &mut World,
        average: impl FnOnce(&mut World, &mut [f32]) -> Result<()>,
    ) -> Result<Step> {
        let (start, amplitude) = (Instant::now(), self.amplitude());
        let Trainer { network, compute, step, .. } = self;
        let (rank, step) = ((world.rank(), world.size()), *step);
        let tally = within(|| compute.gradients(network, rank, (step, amplitude), &[0], &mut |_, _| {}))?;
        self.compute.restore(&mut self.network);
        let averaging = Instant::now();
        average(world, &mut self.network.parameters.gradients)?;
        let update = Instant::now();
        self.update();
        self.step += 1;
        let seconds = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64();
        let phases = Phases {
            compute: seconds(start, averaging),
            exchange: seconds(averaging, update),
            update: update.elapsed().as_secs_f64(),
            ..Phases::default()
        };
        Ok(Step { tally, phases, seconds: start.elapsed().as_secs_f64(), bytes_sent: 0, stop: false })
    }

    /// This rank's gradients, and their mean over the ranks. Afterwards the weights are without noise, whatever came of it.
    fn compute_and_average(
        &mut self,
        world: &mut World,
        stop: bool,
        phases: &mut Phases,
    ) -> Result<(Tally, Agreed)> {
        let amplitude = self.amplitude();
        let Trainer { network, exchange, compute, step, .. } = self;
        let (step, rank) = (*step, (world.rank(), world.size()));
        let averaged = exchange.average(world, step, stop, phases, |parts, give| {
            compute.gradients(network, rank, (step, amplitude), parts, give)
        });
        self.compute.restore(&mut self.network);
        averaged
    }

    /// How far SmoothOut moves the weights at this step; `None` where it does not.
    fn amplitude(&self) -> Option<f32> {
        self.compute.amplitude(self.step - self.start, self.steps - self.start)
    }

    /// What the layers carry to the next step, a row for each place of this rank.
    pub fn recurrent_state(&mut self) -> Vec<(&str, RecurrentState<'_>)> {
        self.compute.recurrent_state(&mut self.network)
    }

    /// The update, from averaged gradients that are equal on every rank: penalties and forces first, then the optimizer
    /// (clipping, decay, momentum), then the zeros that penalties make, and those that stay.
    fn update(&mut self) {
        let rate = self.learning_rate(self.step);
        let parameters = &mut self.network.parameters;
        if let Some(lasso) = &mut self.group_lasso {
            lasso.add_gradients(parameters);
        }
        if let Some(force) = &mut self.force {
            force.add(&parameters.values, &mut parameters.gradients);
        }
        if let Some(frozen) = &mut self.frozen {
            frozen.note(parameters);
        }
        self.optimizer.step(self.step - self.optimizer_start, rate, parameters);
        if let Some(lasso) = &mut self.group_lasso {
            lasso.make_zeros(self.optimizer.rates(), &mut parameters.values);
        }
        if let Some(frozen) = &self.frozen {
            frozen.restore(&mut parameters.values);
        }
    }

    /// Makes sure that all ranks are at the same step, with the same parameters and optimizer's state to the bit.
    ///
    /// # Errors
    /// [`Error::Disagree`] on all ranks, naming two that differ.
    pub fn verify(&self, world: &mut World) -> Result<()> {
        world.set_context(format_args!("step {}, comparison of all parameters", self.step));
        world.agree("the step", self.step)?;
        let states = self.optimizer.states().iter().map(|state| &state.values);
        // Rotated, so that two equal hashes do not cancel.
        let hash = std::iter::once(&self.network.parameters.values)
            .chain(states)
            .fold(0u64, |hash, values| hash.rotate_left(1) ^ hash_values(values));
        world.agree(&format!("step {}: the hash of parameters and the optimizer's state", self.step), hash)
    }

    /// Refuses parameters that the last update has made NaN or infinite, before they are evaluated or written down.
    pub fn check_parameters(&self, rank: usize) -> Result<()> {
        let parameters = &self.network.parameters;
        let Some(at) = parameters.values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
        let bad = parameters.table.iter().find(|parameter| parameter.range.contains(&at));
        let name = bad.map_or("", |parameter| &parameter.name);
        let what = format!(
            "parameter `{name}` became {} in the update before (learning rate {}; a smaller one may help)",
            parameters.values[at],
            self.learning_rate(self.step.saturating_sub(1).max(self.start))
        );
        Err(Error::NonFinite { step: self.step, rank, what })
    }

    /// The same error on every rank: the words of rank `rank`, which saw the bad value.
    fn explain_non_finite(&self, world: &mut World, rank: usize, tally: Tally) -> Result<Error> {
        let loss = tally.mean_loss();
        let bad_gradient = || {
            let parameters = &self.network.parameters;
            parameters.table.iter().find_map(|parameter| {
                let values = &parameters.gradients[parameter.range.clone()];
                let at = values.iter().position(|g| !g.is_finite())?;
                let kept = if self.job.exchange.error_feedback {
                    ", with what error feedback has kept,"
                } else {
                    ""
                };
                Some(format!(
                    "the gradient of `{}`{kept} holds {} at element {at}",
                    parameter.name, values[at]
                ))
            })
        };
        let found = self.network.first_non_finite().or_else(bad_gradient).unwrap_or_default();
        let what = world.broadcast_from(rank, &format!("the loss is {loss}; {found}"))?;
        let rate = self.learning_rate(self.step);
        let noise = self.amplitude().map_or(String::new(), |a| {
            format!("smoothout.a = {} moves the weights by {a} now; ", self.job.smoothout.a)
        });
        let what = format!("{what} ({noise}learning rate {rate}; a smaller one may help)");
        Ok(Error::NonFinite { step: self.step, rank, what })
    }
}
