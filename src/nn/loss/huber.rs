//! Huber's loss. Letters: N samples, K outputs.

use super::blocks::of_differences;
use super::{Loss, Tally};
use crate::targets::Targets;

/// The mean over K outputs of d^2 / 2 where the difference d between output and target is at most delta, and of
/// delta (|d| - delta / 2) beyond: a square near the target, and a line for outliers (Huber 1964). As `HuberLoss` of
/// PyTorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Huber {
    delta: f32,
}

impl Huber {
    /// The loss that changes from a square to a line at `delta`, which is above 0.
    pub fn new(delta: f32) -> Huber {
        Huber { delta }
    }
}

impl Loss for Huber {
    fn name(&self) -> &'static str {
        "huber"
    }

    fn compute(
        &self,
        outputs: &[f32],
        targets: &Targets,
        weight: f32,
        gradient: Option<&mut [f32]>,
    ) -> Tally {
        let (delta, limit) = (self.delta, f64::from(self.delta));
        let loss = |d: f64| {
            let size = d.abs();
            if size <= limit { 0.5 * d * d } else { limit * (size - 0.5 * limit) }
        };
        let slope = |d: f32| {
            let within = if d > delta { delta } else { d };
            if within < -delta { -delta } else { within }
        };
        of_differences(outputs, targets, weight, gradient, loss, slope)
    }
}
