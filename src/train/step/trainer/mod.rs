//! The trainer: a network, its optimizer and the exchange of its gradients, at one step of one stage.
//!
//! - `schedule`: steps, epochs and learning rates
//! - `averaging`: which method averages the gradients
//! - `step`: one training step, as named phases
//! - `rhythm`: when the ranks exchange
//! - `local_steps`: steps of each rank alone, and how the ranks come together after them
//! - `transplant`: from one stage to the next, with everything that belongs to the parameters
//! - `checks`: ranks that differ, and values that are not finite

mod averaging;
mod checks;
mod local_steps;
mod rhythm;
mod schedule;
mod step;
mod transplant;

use ternflock_collectives::topology::Topology;

use local_steps::LocalSteps;
pub use rhythm::Rhythm;
pub(crate) use schedule::{LONGEST, count_steps};
pub use step::Step;

use crate::exchange::Exchange;
use crate::step::batch::Batch;
use crate::step::compute::Compute;
use crate::step::evaluate::EVALUATION_BATCH;
use ternflock_base::error::Result;
use ternflock_compress::force::Force;
use ternflock_compress::group_lasso::GroupLasso;
use ternflock_compress::zeros::FrozenZeros;
use ternflock_data::TrainingFeed;
use ternflock_job::{self as job, Job};
use ternflock_nn::layer::RecurrentState;
use ternflock_nn::{Execution, Graph, Network};
use ternflock_optim::{Optimizer, Plateau};
use ternflock_tensor::Precision;

/// Everything that a training step reads and changes.
pub struct Trainer {
    /// The network and its parameters.
    pub network: Network,
    /// The optimizer and its state.
    pub optimizer: Optimizer,
    /// Number of completed steps.
    pub step: u64,
    /// The step that this stage of the run began at; 0 in a run of one stage.
    pub start: u64,
    /// The step at which this stage ends.
    pub steps: u64,
    /// The step at which the optimizer state was last zero.
    pub optimizer_start: u64,
    /// The effect of this stage's evaluations on the learning rate.
    pub plateau: Plateau,
    group_lasso: Option<GroupLasso>,
    force: Option<Force>,
    frozen: Option<FrozenZeros>,
    exchange: Exchange,
    local_steps: LocalSteps,
    compute: Compute,
    /// The job, with the settings of this stage.
    job: Job,
}

/// How a rank of `world` runs its network: the largest batch has all samples that it computes at a time, with or
/// without evaluation.
pub(crate) fn execution(job: &Job, world: usize, evaluates: bool) -> Execution {
    let size = Batch::of(&job.train).at_a_time(world);
    let batch = if job.data.is_text() || !evaluates { size } else { size.max(EVALUATION_BATCH) };
    Execution { batch, precision: precision(job) }
}

/// The precision in which `job` computes its products.
pub fn precision(job: &Job) -> Precision {
    match job.train.precision {
        job::Precision::Float32 => Precision::Float32,
        job::Precision::Bf16 => Precision::Bf16,
    }
}

impl Trainer {
    /// A trainer of `job` on `feed` at step 0, on the ranks of `topology`, with freshly drawn parameters.
    /// With `evaluates`, its network also has the capacity for the batches of evaluations.
    ///
    /// # Errors
    /// When the network does not fit into memory, or a setting of `job` names a layer that does not exist;
    /// the errors of [`Trainer::set_method`].
    pub fn new(
        job: &Job,
        graph: Graph,
        feed: Box<dyn TrainingFeed>,
        topology: Topology,
        evaluates: bool,
    ) -> Result<Trainer> {
        let mut network = Network::new(graph, execution(job, topology.world(), evaluates))?;
        network.parameters.initialise(job.train.seed);
        let steps = count_steps(&job.train, feed.samples())?;
        let compute = Compute::new(job, feed, &mut network, &topology)?;
        let exchange = averaging::exchange(None, &job.exchange, job, &network, topology)?;
        let parameters = network.parameters.values.len();
        Ok(Trainer {
            optimizer: Optimizer::new(&job.optimizer, parameters),
            group_lasso: GroupLasso::new(&job.sparsity, network.graph(), &network.parameters)?,
            force: Force::new(&job.force, network.graph(), &network.parameters.table)?,
            frozen: None,
            local_steps: LocalSteps::new(job.exchange.every, &network.parameters),
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

    /// The settings of this stage.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The state that recurrent layers carry to the next step, with the layer's name: one row per place of
    /// this rank.
    pub fn recurrent_state(&mut self) -> Vec<(&str, RecurrentState<'_>)> {
        self.compute.recurrent_state(&mut self.network)
    }
}
