//! Windows over the steps of a sequence, for the pooling layers of sequences `[T, N, D]`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::single_sequence;
use super::window::{covered, outputs};
use crate::Shape;

/// The options of both pooling layers of sequences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pooling1d {
    /// Steps of a window.
    pub kernel: usize,
    /// Steps from one window to the next; by default the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Steps of padding before and after the sequence.
    #[serde(default)]
    pub padding: usize,
    /// Round the number of windows up instead of down.
    #[serde(default)]
    pub ceil: bool,
}

impl Pooling1d {
    pub(super) fn windows(&self, inputs: &[Shape]) -> Result<Windows, String> {
        let (steps, features) = single_sequence(inputs)?;
        let (kernel, stride, padding) = (self.kernel, self.stride.unwrap_or(self.kernel), self.padding);
        let count = outputs("length", steps, kernel, stride, padding, self.ceil)?;
        Ok(Windows { steps, features, kernel, stride, padding, count })
    }
}

/// The windows of a pooling layer over sequences of T steps of D features.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// T.
    pub steps: usize,
    /// D.
    pub features: usize,
    /// Steps of a window.
    pub kernel: usize,
    /// Steps from one window to the next.
    pub stride: usize,
    /// Steps of padding before and after the sequence.
    pub padding: usize,
    /// The number of windows.
    pub count: usize,
}

impl Windows {
    /// The shape of the output: a step per window.
    pub fn output(&self) -> Shape {
        Shape::Sequence { steps: self.count, features: self.features }
    }

    /// The steps that window `index` covers, without padding; at least one.
    pub fn covered(&self, index: usize) -> Range<usize> {
        covered(index, self.kernel, self.stride, self.padding, self.steps)
    }

    /// The windows that cover step `step`.
    pub fn over(&self, step: usize) -> Range<usize> {
        let place = step + self.padding;
        let first = (place + 1).saturating_sub(self.kernel).div_ceil(self.stride);
        let end = (place / self.stride + 1).min(self.count);
        first.min(end)..end
    }
}

/// Numbers of a step that are computed together: few enough that they stay in the L1 cache from one step of a
/// window to the next.
pub(super) const BLOCK: usize = 1024;

/// The blocks of a step of `numbers` numbers.
pub(super) fn blocks(numbers: usize) -> impl Iterator<Item = Range<usize>> {
    (0..numbers).step_by(BLOCK).map(move |start| start..(start + BLOCK).min(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step is in a window if and only if the window is over the step.
    #[test]
    fn windows_and_steps_see_each_other() {
        let mut checked = 0;
        for (steps, kernel, stride) in [(1, 1, 1), (2, 3, 1), (7, 2, 2), (7, 3, 2), (9, 2, 5), (11, 5, 3)] {
            for (padding, ceil) in (0..kernel).flat_map(|padding| [(padding, false), (padding, true)]) {
                let pooling = Pooling1d { kernel, stride: Some(stride), padding, ceil };
                let sequence = Shape::Sequence { steps, features: 1 };
                let Ok(windows) = pooling.windows(&[sequence]) else { continue };
                for window in 0..windows.count {
                    assert!(!windows.covered(window).is_empty(), "{windows:?}");
                    for step in 0..steps {
                        let (covers, over) = (windows.covered(window), windows.over(step));
                        assert_eq!(covers.contains(&step), over.contains(&window), "{windows:?}, {step}");
                        checked += usize::from(covers.contains(&step));
                    }
                }
            }
        }
        assert!(checked > 100, "{checked}");
    }
}
