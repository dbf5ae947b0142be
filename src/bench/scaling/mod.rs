//! Measures training steps of a job on these ranks with each way to average gradients: their speed, and the
//! time of each phase.

mod plot;
mod report;

use std::time::Instant;

pub use plot::{plot, plot_rates};
pub use report::{Mode, Point, Scaling, WayTime};

use super::contender::Contender;
use super::{Interference, Watch};
use ternflock_base::error::{Error, Result};
use ternflock_base::quantile::median;
use ternflock_base::text::plural;
use ternflock_job::{Exchange, Loaded};
use ternflock_report::Phases;
use ternflock_train::{Trainer, prepare};
use ternflock_world::World;

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct ScalingOptions {
    /// The ways to average. Each round measures all of them, one after another.
    pub ways: Vec<Contender>,
    /// Timed steps per round, raised to a multiple of `exchange.every` so that each exchange has its local steps. Steps
    /// before them, up to the first exchange, are not timed.
    pub steps: usize,
    /// Rounds.
    pub rounds: usize,
}

/// The most local steps per exchange: rounds time all steps up to an exchange, and would not end in useful time.
const MOST_LOCAL_STEPS: u64 = 1000;

/// A rank's report on its steps in a round: seconds per step, bytes sent, and the phases.
const WORDS: usize = 9;

/// Measures the job on the ranks of `world`, the same [`Point`] on each. If it starts with an exchange in each step and takes
/// local steps later, these are measured.
///
/// # Errors
/// Those of starting a training run; [`Error::Usage`] for a way that these ranks do not have, and for an
/// `exchange.every` above 1000;
/// [`Error::Exchange`] if ranks are late or have ended.
pub fn measure(loaded: &Loaded, world: &mut World, options: &ScalingOptions) -> Result<Point> {
    let every = loaded.job.exchange.every;
    if every > MOST_LOCAL_STEPS {
        return Err(Error::Usage(format!(
            "exchange.every = {every}: each round of bench scaling times at least that many steps, and the most is \
             {MOST_LOCAL_STEPS}; measure with a smaller value, as with --set exchange.every=8"
        )));
    }
    let mut loaded = loaded.clone();
    loaded.job.exchange.every_start = 0;
    let (mut trainer, placement) = prepare(&loaded, world)?;
    let mut ways: Vec<Measured> =
        options.ways.iter().map(|&way| Measured { way, rounds: Vec::new() }).collect();
    let watch = Watch::start();
    for _ in 0..options.rounds {
        for measured in &mut ways {
            take(&mut trainer, world, &loaded.job.exchange, measured.way)?;
            step(&mut trainer, world, measured.way)?;
            while !trainer.is_synchronised() {
                step(&mut trainer, world, measured.way)?;
            }
            let steps = options.steps.next_multiple_of(trainer.exchange_every() as usize);
            measured.rounds.push(round(&mut trainer, world, measured.way, steps)?);
        }
    }
    let interference = Interference::of(&world.gather(watch.words())?, &world.topology());
    let task = trainer.task();
    let labels = trainer.labels_per_step() as f64;
    Ok(Point {
        ranks: world.size(),
        hosts: placement.hosts,
        threads: placement.threads,
        global_batch: trainer.global_batch(),
        parameters: trainer.network.parameters.values.len(),
        unit: task.speed(0.0).unit().into(),
        interference: Some(interference),
        ways: ways.into_iter().map(|measured| measured.time(labels)).collect(),
    })
}

/// Uses `way` to average gradients from now on.
fn take(trainer: &mut Trainer, world: &World, asked: &Exchange, way: Contender) -> Result<()> {
    trainer.set_method(way.method(), asked, world.topology())?;
    if let Some(averaging) = way.ours() {
        trainer.exchange_mut().set_algorithm(averaging.algorithm);
        trainer.exchange_mut().set_coding(way.coding());
    }
    Ok(())
}

fn step(trainer: &mut Trainer, world: &mut World, way: Contender) -> Result<(Phases, u64)> {
    let step = match way {
        Contender::MpiAllreduceF32 => trainer.step_by(world, World::mpi_mean)?,
        _ => trainer.step(world, false)?,
    };
    Ok((step.phases, step.bytes_sent))
}

/// Each rank's report on `steps` steps, which all ranks start together.
fn round(
    trainer: &mut Trainer,
    world: &mut World,
    way: Contender,
    steps: usize,
) -> Result<Vec<[u64; WORDS]>> {
    if trainer.step + steps as u64 > trainer.steps {
        return Err(Error::Usage(format!(
            "the job has only {}, and all of them are done: raise train.epochs or train.steps, or measure fewer steps",
            plural(trainer.steps as usize, "step")
        )));
    }
    world.gather([0])?;
    let (start, mut phases, mut bytes) = (Instant::now(), Phases::default(), 0);
    for _ in 0..steps {
        let (took, sent) = step(trainer, world, way)?;
        phases += took;
        bytes += sent;
    }
    let seconds = start.elapsed().as_secs_f64() / steps as f64;
    let phases = phases.divided_by(steps as f64).to_array().map(f64::to_bits);
    let mut words = [seconds.to_bits(), bytes / steps as u64, 0, 0, 0, 0, 0, 0, 0];
    words[2..].copy_from_slice(&phases);
    world.gather(words)
}

struct Measured {
    way: Contender,
    /// The reports by round and rank.
    rounds: Vec<Vec<[u64; WORDS]>>,
}

impl Measured {
    fn time(self, labels: f64) -> WayTime {
        let seconds = |round: &Vec<[u64; WORDS]>| {
            round.iter().map(|words| f64::from_bits(words[0])).fold(0.0, f64::max)
        };
        let mut all: Vec<f64> = self.rounds.iter().map(seconds).collect();
        all.sort_by(f64::total_cmp);
        let step_s = median(all.clone());
        let ranks = self.rounds.first().map_or(0, Vec::len);
        let phases = |rank: usize| {
            let of = |round: &Vec<[u64; WORDS]>| {
                Phases::from_array(std::array::from_fn(|phase| f64::from_bits(round[rank][2 + phase])))
            };
            let sum = self.rounds.iter().map(of).fold(Phases::default(), std::ops::Add::add);
            sum.divided_by(self.rounds.len() as f64)
        };
        WayTime {
            way: self.way.name().into(),
            step_s,
            fastest_s: all.first().copied().unwrap_or_default(),
            slowest_s: all.last().copied().unwrap_or_default(),
            rate: labels / step_s,
            bytes_sent: (0..ranks).map(|rank| self.rounds[0][rank][1]).collect(),
            phases: (0..ranks).map(phases).collect(),
        }
    }
}
