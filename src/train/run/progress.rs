//! How far a run is: its steps, their time, and the bytes that this rank has sent to average gradients.

use crate::exchange::float32_bytes;
use crate::step::trainer::{Step, Trainer};
use ternflock_report::{Speed, Traffic};
use ternflock_world::World;

/// The progress of this run, without the steps that it resumed from.
#[derive(Default)]
pub(crate) struct RunProgress {
    first_step: u64,
    /// The step that it began at in the present stage.
    stage_first_step: u64,
    training_seconds: f64,
    bytes_sent: u64,
    /// The bytes of the stages before the present one.
    past: ExpectedBytes,
}

/// The bytes that this rank should have sent.
#[derive(Clone, Copy, Default)]
struct ExpectedBytes {
    /// By the formulas of docs/algorithms.md.
    formula: u64,
    /// By a ring of float32.
    float32: u64,
}

impl RunProgress {
    /// A run that begins at `step`.
    pub fn at(step: u64) -> RunProgress {
        RunProgress { first_step: step, stage_first_step: step, ..RunProgress::default() }
    }

    /// The step that it began at.
    pub fn first_step(&self) -> u64 {
        self.first_step
    }

    /// Adds a step.
    pub fn add(&mut self, step: &Step) {
        self.training_seconds += step.seconds;
        self.bytes_sent += step.bytes_sent;
    }

    /// The stage ends with the present step of `trainer`, and the next one begins.
    pub fn end_stage(&mut self, trainer: &Trainer, world: &World) {
        self.past = self.expected_bytes(trainer, world);
        self.stage_first_step = trainer.step;
    }

    /// The bytes of this run so far, per step.
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
                formula: formula + steps * trainer.exchange().formula_bytes(world.rank()),
                float32: float32 + steps * float32_bytes(parameters, world.rank(), world.size()),
            },
        }
    }
}
