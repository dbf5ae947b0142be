//! Finds the weights of a [`Pass`] in a layer's weights, for [`super::correlation::Products`] to pack.

use super::pass::Pass;

/// How the weights of a pass are read from the layer's `[F, C, R, S]`.
#[derive(Clone, Copy, PartialEq)]
pub enum Direction {
    /// The filters of the pass are the layer's filters.
    Forward,
    /// The filters of the pass are the layer's channels.
    Backward,
}

/// The weights of one group of a layer, `[F, C, R, S]`.
pub struct LayerWeights<'a> {
    /// The weights.
    pub values: &'a [f32],
    /// (R, S).
    pub kernel: (usize, usize),
    /// The direction of the pass.
    pub direction: Direction,
}

impl LayerWeights<'_> {
    /// The distances from one filter of `pass` to the next, and from one channel to the next.
    pub fn distances(&self, pass: &Pass) -> (usize, usize) {
        let taps = self.kernel.0 * self.kernel.1;
        match self.direction {
            Direction::Forward => (pass.channels * taps, taps),
            Direction::Backward => (taps, pass.filters * taps),
        }
    }

    /// The weights, starting with the first one of tap (r, s) of `pass`.
    pub fn tap(&self, pass: &Pass, r: usize, s: usize) -> &[f32] {
        &self.values[pass.row.tap(r) * self.kernel.1 + pass.column.tap(s)..]
    }
}
