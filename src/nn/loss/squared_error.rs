//! The mean squared error. Letters: N samples, K outputs.

use super::blocks::of_differences;
use super::{Loss, Tally};
use crate::targets::Targets;

/// The mean over K outputs of the squared difference between output and target; the loss of least squares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SquaredError;

impl Loss for SquaredError {
    fn name(&self) -> &'static str {
        "mse"
    }

    fn compute(
        &self,
        outputs: &[f32],
        targets: &Targets,
        weight: f32,
        gradient: Option<&mut [f32]>,
    ) -> Tally {
        of_differences(outputs, targets, weight, gradient, |d| d * d, |d| 2.0 * d)
    }
}
