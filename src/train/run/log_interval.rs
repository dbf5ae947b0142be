//! The steps between two lines of the log.

use crate::step::evaluate::sum_tallies;
use crate::step::trainer::{Step, Trainer};
use ternflock_base::error::Result;
use ternflock_nn::Tally;
use ternflock_report::{Event, Phases};
use ternflock_world::World;

/// The totals of the steps since the last line on this rank, without evaluations and checkpoints.
#[derive(Default)]
pub struct LogInterval {
    steps: u64,
    seconds: f64,
    bytes_sent: u64,
    tally: Tally,
    phases: Phases,
}

impl LogInterval {
    /// Adds a step.
    pub fn add(&mut self, step: &Step) {
        self.steps += 1;
        self.seconds += step.seconds;
        self.bytes_sent += step.bytes_sent;
        self.tally += step.tally;
        self.phases += step.phases;
    }

    /// The line about the interval on all ranks, unless it is empty. The next interval begins here.
    pub fn finish(&mut self, world: &mut World, trainer: &Trainer) -> Result<Option<Event>> {
        let LogInterval { steps, seconds, bytes_sent, tally, phases } = std::mem::take(self);
        if steps == 0 {
            return Ok(None);
        }
        let tally = sum_tallies(world, tally)?;
        let all = world.gather(phases.to_array().map(f64::to_bits))?;
        let all = all.into_iter().map(|bits| Phases::from_array(bits.map(f64::from_bits)));
        let phases = all.fold(Phases::default(), std::ops::Add::add);
        Ok(Some(Event::Train {
            step: trainer.step,
            epoch: trainer.epoch(),
            loss: tally.mean_loss(),
            score: trainer.task().training_score(&tally),
            learning_rate: trainer.learning_rate(trainer.step - 1),
            speed: trainer.task().speed(tally.samples as f64 / seconds),
            bytes_sent,
            phases: phases.divided_by((steps * world.size() as u64) as f64),
        }))
    }
}
