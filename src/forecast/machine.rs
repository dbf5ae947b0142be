//! What the ranks that there are take for a step, but for the exchange: all of them at once, as the ranks of a node.

use std::time::Duration;

use ternflock_base::error::Result;
use ternflock_job::{Exchange, Loaded};
use ternflock_train::method::{self, Method, Share};
use ternflock_train::{Trainer, prepare};
use ternflock_world::World;

/// A step of a rank up to its gradients, and from their means to new parameters.
#[derive(Clone, Debug)]
pub struct Compute {
    /// Seconds of drawing the batch, forward, loss and backward.
    pub seconds: f64,
    /// Of the update.
    pub update: f64,
    /// By layer: of the backward pass before it, when its own gradients are final.
    pub left: Vec<f64>,
    /// Threads that compute in a rank.
    pub threads: usize,
}

/// By bucket: the layer it begins at, and what each method averages of it.
type Buckets = Vec<(usize, Vec<Share>)>;

/// What a job is to the ranks, whatever their number.
#[derive(Clone, Debug)]
pub struct Model {
    /// By the method that the job would name.
    buckets: Vec<(&'static dyn Method, Buckets)>,
    /// Parameters.
    pub parameters: usize,
    /// Labels of a sample.
    pub labels: usize,
    /// What rates count: samples or tokens.
    pub unit: String,
}

impl Model {
    /// The buckets of `method`.
    pub fn buckets(&self, method: &'static dyn Method) -> &[(usize, Vec<Share>)] {
        self.buckets.iter().find(|(of, _)| *of == method).map_or(&[], |(_, buckets)| buckets)
    }
}

/// Measures `steps` steps of `loaded` with `batch` samples on each rank of `world`, all of which compute at once: the median over steps of
/// the slowest rank.
///
/// # Errors
/// Those of a training run's start; [`Error::Exchange`] when ranks are late or gone.
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
        // Gradients are final in the last micro-batch.
        before += time.as_secs_f64() / (steps * micro_batches) as f64;
        left
    });
    let compute = Compute {
        left: left.collect(),
        seconds: median(computing),
        update: median(updating),
        threads: placement.threads,
    };
    Ok((describe(&mut trainer, &loaded.job.exchange, world)?, compute))
}

fn describe(trainer: &mut Trainer, exchange: &Exchange, world: &World) -> Result<Model> {
    let mut buckets = |method| {
        trainer.set_method(method, exchange, world.topology())?;
        Ok((method, trainer.exchange().shares()))
    };
    Ok(Model {
        buckets: method::all().map(&mut buckets).collect::<Result<_>>()?,
        parameters: trainer.network.parameters.values.len(),
        labels: trainer.labels_per_step() as usize / trainer.global_batch(),
        unit: trainer.task().speed(0.0).unit().into(),
    })
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}
