//! How far a run is: its steps, their time, and the bytes that this rank has sent to average gradients.

use crate::exchange::float32_bytes;
use crate::step::trainer::{Step, Trainer};
use ternflock_report::{Speed, Traffic};
use ternflock_world::World;

/// The progress of a run since it was started or resumed.
#[derive(Default)]
pub(crate) struct RunProgress {
    first_step: u64,
    /// The step at which the present stage, or this run within it, began.
    stage_first_step: u64,
    training_seconds: f64,
    bytes_sent: u64,
    /// The exchanges of this run in the present stage.
    exchanges: u64,
    /// The expected bytes of all stages before the present one.
    past: ExpectedBytes,
}

/// The bytes that this rank is expected to send.
#[derive(Clone, Copy, Default)]
struct ExpectedBytes {
    /// By the formulas of docs/algorithms.md.
    formula: u64,
    /// By a ring of float32 in each step.
    float32: u64,
}

impl RunProgress {
    /// The progress of a run that begins at `step`.
    pub fn at(step: u64) -> RunProgress {
        RunProgress { first_step: step, stage_first_step: step, ..RunProgress::default() }
    }

    /// The step at which the run began.
    pub fn first_step(&self) -> u64 {
        self.first_step
    }

    /// Adds a step.
    pub fn add(&mut self, step: &Step) {
        self.training_seconds += step.seconds;
        self.bytes_sent += step.bytes_sent;
        self.exchanges += u64::from(step.is_synchronised);
    }

    /// Ends the stage at the present step of `trainer`; the next one begins there.
    pub fn end_stage(&mut self, trainer: &Trainer, world: &World) {
        self.past = self.expected_bytes(trainer, world);
        (self.stage_first_step, self.exchanges) = (trainer.step, 0);
    }

    /// Bytes per step so far: sent, by the formulas, and by a ring of float32.
    pub fn traffic(&self, trainer: &Trainer, world: &World) -> Traffic {
        let per_step = |bytes: u64| bytes as f64 / self.steps(trainer).max(1) as f64;
        let ExpectedBytes { formula, float32 } = self.expected_bytes(trainer, world);
        Traffic {
            bytes_per_step: per_step(self.bytes_sent),
            formula_bytes_per_step: per_step(formula),
            float32_bytes_per_step: per_step(float32),
        }
    }

    /// Labels per second of training.
    pub fn speed(&self, trainer: &Trainer) -> Speed {
        let steps = self.steps(trainer);
        let labels = steps as f64 * trainer.labels_per_step() as f64;
        trainer.task().speed(if steps == 0 { 0.0 } else { labels / self.training_seconds })
    }

    fn steps(&self, trainer: &Trainer) -> u64 {
        trainer.step - self.first_step
    }

    fn expected_bytes(&self, trainer: &Trainer, world: &World) -> ExpectedBytes {
        let ExpectedBytes { formula, float32 } = self.past;
        let parameters = trainer.network.parameters.values.len();
        match trainer.step - self.stage_first_step {
            0 => self.past,
            steps => ExpectedBytes {
                formula: formula + self.exchanges * trainer.exchange().formula_bytes(world.rank()),
                float32: float32 + steps * float32_bytes(parameters, world.rank(), world.size()),
            },
        }
    }
}
