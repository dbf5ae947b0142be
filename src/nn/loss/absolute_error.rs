//! The mean absolute error. Letters: N samples, K outputs.

use super::blocks::of_differences;
use super::{Loss, Tally};
use crate::targets::Targets;

/// The mean over K outputs of the absolute difference between output and target. Outliers weigh less than in the squared
/// error: the optimum is the median, not the mean. The derivative at 0 is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsoluteError;

impl Loss for AbsoluteError {
    fn name(&self) -> &'static str {
        "mae"
    }

    fn compute(
        &self,
        outputs: &[f32],
        targets: &Targets,
        weight: f32,
        gradient: Option<&mut [f32]>,
    ) -> Tally {
        of_differences(outputs, targets, weight, gradient, f64::abs, sign)
    }
}

/// 1, -1, or the number itself if it is 0 or NaN.
#[inline(always)]
fn sign(d: f32) -> f32 {
    let negative = if d < 0.0 { -1.0 } else { d };
    if d > 0.0 { 1.0 } else { negative }
}
