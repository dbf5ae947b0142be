//! Steps, epochs and learning rates of a trainer.

use super::Trainer;
use ternflock_base::error::{Error, Result};
use ternflock_job::{ScheduleKind, Train};
use ternflock_nn::Shape;
use ternflock_optim::{Moment, learning_rate};
use ternflock_report::Task;

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

impl Trainer {
    /// Samples of a step, over all ranks.
    pub fn global_batch(&self) -> usize {
        self.job.train.global_batch
    }

    /// Samples per epoch.
    pub fn training_samples(&self) -> usize {
        self.compute.feed.samples()
    }

    /// The task that the network is trained for.
    pub fn task(&self) -> Task {
        self.compute.task()
    }

    /// Number of labels per step, over all ranks: a sample has one label, a sequence has one for each of its
    /// steps.
    pub fn labels_per_step(&self) -> u64 {
        (self.job.train.global_batch * self.labels_per_sample()) as u64
    }

    /// Number of labels per epoch.
    pub fn labels_per_epoch(&self) -> u64 {
        (self.compute.feed.samples() * self.labels_per_sample()) as u64
    }

    fn labels_per_sample(&self) -> usize {
        match self.network.graph().input() {
            Shape::Tokens { steps, .. } => steps,
            _ => 1,
        }
    }

    /// Number of passes over the training set so far.
    pub fn epoch(&self) -> f64 {
        self.epoch_at(self.step)
    }

    /// Number of passes over the training set after `step` steps.
    pub fn epoch_at(&self, step: u64) -> f64 {
        step as f64 * self.job.train.global_batch as f64 / self.compute.feed.samples() as f64
    }

    /// The learning rate of step `step`.
    pub fn learning_rate(&self, step: u64) -> f64 {
        let (step, steps) = (step - self.start, self.steps - self.start);
        let moment = Moment { step, steps, epoch: self.epoch_at(step) as u64, cuts: self.plateau.cuts };
        let factor = self.job.schedule.scaling.map_or(1.0, |scaling| scaling.factor(self.global_batch()));
        factor * learning_rate(&self.job.schedule, self.job.optimizer.learning_rate, moment)
    }

    /// Passes the `loss` of an evaluation, which is the same on all ranks, to schedules that depend on it.
    /// Returns the learning rate if it changes.
    pub fn observe_evaluation(&mut self, loss: f64) -> Option<f64> {
        let ScheduleKind::Plateau { patience, .. } = self.job.schedule.kind else { return None };
        self.plateau.observe(loss, patience).then(|| self.learning_rate(self.step))
    }
}
