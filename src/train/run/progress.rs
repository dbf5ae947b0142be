//! How far a run is: its steps, their time, and the bytes that this rank has sent to average gradients.

use crate::exchange::float32_bytes;
use crate::exchange::method::Bytes;
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
    /// Whether fewer may be sent than by the formulas.
    is_bound: bool,
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
    }

    /// Ends the stage at the present step of `trainer`; the next one begins there.
    pub fn end_stage(&mut self, trainer: &Trainer, world: &World) {
        self.past = self.expected_bytes(trainer, world);
        self.stage_first_step = trainer.step;
    }

    /// Bytes per step so far: sent, by the formulas, and by a ring of float32.
    pub fn traffic(&self, trainer: &Trainer, world: &World) -> Traffic {
        let per_step = |bytes: u64| bytes as f64 / self.steps(trainer).max(1) as f64;
        let ExpectedBytes { formula, float32, is_bound } = self.expected_bytes(trainer, world);
        Traffic {
            bytes_per_step: per_step(self.bytes_sent),
            formula_bytes_per_step: per_step(formula),
            is_bound,
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
        let ExpectedBytes { formula, float32, is_bound } = self.past;
        let bytes = trainer.exchange().bytes_sent(world.rank());
        let parameters = trainer.network.parameters.values.len();
        match trainer.step - self.stage_first_step {
            0 => self.past,
            steps => ExpectedBytes {
                formula: formula + self.formula_bytes(trainer, world.rank()),
                float32: float32 + steps * float32_bytes(parameters, world.rank(), world.size()),
                is_bound: is_bound || matches!(bytes, Bytes::AtMost(_)),
            },
        }
    }

    /// Bytes of this rank in the present stage by the formulas: those of the steps that end with an exchange.
    fn formula_bytes(&self, trainer: &Trainer, rank: usize) -> u64 {
        let (exchange, rhythm) = (trainer.exchange(), trainer.rhythm());
        let steps = self.stage_first_step..trainer.step;
        if trainer.exchange_every() == 1 {
            return exchange.formula_bytes_in(steps, rank);
        }
        let local = steps.start.max(rhythm.start()).min(steps.end);
        let exchanges: Vec<u64> =
            (local..steps.end).filter(|step| rhythm.is_synchronised(step + 1)).collect();
        exchange.formula_bytes_in(steps.start..local, rank)
            + sum_of(&exchanges, &|step| exchange.formula_bytes_in(step..step + 1, rank))
    }
}

/// The sum of `bytes` of all `steps`, which are ascending. Only the first steps of a run may differ from later ones, so steps
/// between two with the same bytes have these too.
fn sum_of(steps: &[u64], bytes: &dyn Fn(u64) -> u64) -> u64 {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return 0 };
    let (first, last) = (bytes(*first), bytes(*last));
    if first == last || steps.len() == 1 {
        return first * steps.len() as u64;
    }
    let (before, after) = steps.split_at(steps.len() / 2);
    sum_of(before, bytes) + sum_of(after, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_change_once_are_summed_in_few_steps() {
        let calls = std::cell::Cell::new(0);
        for start in [0, 1, 400, 3999, 4000, 9000] {
            let bytes = |step: u64| {
                calls.set(calls.get() + 1);
                if step < start { 700 } else { 3 }
            };
            let steps: Vec<u64> = (3..4000).step_by(4).collect();
            let expected: u64 = steps.iter().map(|&step| if step < start { 700 } else { 3 }).sum();
            assert_eq!(sum_of(&steps, &bytes), expected);
        }
        assert!(calls.get() < 200, "{}", calls.get());
        assert_eq!(sum_of(&[], &|_| 1), 0);
    }
}
