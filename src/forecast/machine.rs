//! The time that the existing ranks need for a step, without the exchange. All ranks compute at once, like
//! the ranks of a node.

use std::time::Duration;

use ternflock_base::error::Result;
use ternflock_base::quantile::median;
use ternflock_job::{Job, Loaded};
use ternflock_train::method::{self, Method, Share};
use ternflock_train::{Trainer, moves_unread_rows, prepare, rows_read};
use ternflock_world::World;

/// The times of a rank's step: up to its gradients, and from their means to new parameters.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Seconds for drawing the batch, the forward pass, the loss and the backward pass.
    pub seconds: f64,
    /// Seconds for the update.
    pub update: f64,
    /// By layer: seconds of the backward pass until its own gradients are final.
    pub left: Vec<f64>,
    /// Compute threads of a rank.
    pub threads: usize,
}

/// By bucket: its first layer, and the shares that each method averages.
pub type Buckets = Vec<(usize, Vec<Share>)>;

/// The properties of a job that do not depend on the number of ranks.
#[derive(Clone, Debug)]
pub struct Model {
    /// By averaging method of the job.
    buckets: Vec<(&'static dyn Method, Buckets)>,
    /// The number of parameters.
    pub parameters: usize,
    /// Labels per sample.
    pub labels: usize,
    /// The most rows of an embedding's table that travel for each sample.
    rows_per_sample: usize,
    /// The unit of rates: samples or tokens.
    pub unit: String,
}

impl Model {
    /// The buckets of `method`, with the most that travels in a step of `samples` samples.
    pub fn buckets(&self, method: &'static dyn Method, samples: usize) -> Buckets {
        let buckets =
            self.buckets.iter().find(|(of, _)| *of == method).map_or(&[][..], |(_, buckets)| buckets);
        let rows = self.rows_per_sample.saturating_mul(samples);
        let bounded = |shares: &[Share]| shares.iter().map(|share| share.bounded(rows)).collect();
        buckets.iter().map(|(layer, shares)| (*layer, bounded(shares))).collect()
    }
}

/// Measures `steps` steps of `loaded` with `batch` samples on each rank of `world`. All ranks compute at
/// once; the result is the median over steps of the slowest rank.
///
/// # Errors
/// Those of starting a training run; [`Error::Exchange`] if ranks are late or have ended.
pub fn measure(loaded: &Loaded, batch: usize, steps: usize, world: &mut World) -> Result<(Model, Compute)> {
    let mut loaded = loaded.clone();
    let train = &mut loaded.job.train;
    train.global_batch = batch * world.size();
    (train.steps, train.epochs) = (Some(steps as u64 + 1), None);
    let micro_batches = batch.div_ceil(train.micro_batch.unwrap_or(batch));
    let (mut trainer, placement) = prepare(&loaded, world)?;
    let nothing = |_: &mut World, _: &mut [f32]| Ok(());
    trainer.step_by(world, nothing)?;
    trainer.network.clock.reset();
    let (mut computing, mut updating) = (Vec::new(), Vec::new());
    for _ in 0..steps {
        world.gather([0])?;
        let phases = trainer.step_by(world, nothing)?.phases;
        let all = world.gather([phases.compute.to_bits(), phases.update.to_bits()])?;
        let slowest = |place: usize| all.iter().map(|rank| f64::from_bits(rank[place])).fold(0.0, f64::max);
        computing.push(slowest(0));
        updating.push(slowest(1));
    }
    let times: Vec<Duration> = trainer.network.clock.times().map(|(_, backward)| backward).collect();
    let mut before = 0.0;
    let left = times.iter().map(|time| {
        let left = before;
        // Gradients become final in the last micro-batch.
        before += time.as_secs_f64() / (steps * micro_batches) as f64;
        left
    });
    let compute = Compute {
        left: left.collect(),
        seconds: median(computing),
        update: median(updating),
        threads: placement.threads,
    };
    Ok((describe(&mut trainer, &loaded.job, world)?, compute))
}

fn describe(trainer: &mut Trainer, job: &Job, world: &World) -> Result<Model> {
    let mut buckets = |method| {
        trainer.set_method(method, &job.exchange, world.topology())?;
        Ok((method, trainer.exchange().shares()))
    };
    Ok(Model {
        buckets: method::all().map(&mut buckets).collect::<Result<_>>()?,
        parameters: trainer.network.parameters.values.len(),
        labels: trainer.labels_per_step() as usize / trainer.global_batch(),
        rows_per_sample: match moves_unread_rows(job) {
            true => usize::MAX,
            false => rows_read(trainer.network.graph(), 1),
        },
        unit: trainer.task().speed(0.0).unit().into(),
    })
}
