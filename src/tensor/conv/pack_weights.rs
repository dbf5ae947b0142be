//! The weights of a [`Pass`] in a layer's weights, from where [`super::correlation::Products`] pack them.

use super::pass::Pass;

/// How the weights of a pass are read from the layer's `[F, C, R, S]`.
#[derive(Clone, Copy, PartialEq)]
pub enum Direction {
    /// Filters are the layer's filters.
    Forward,
    /// Filters are the layer's channels.
    Backward,
}

/// One group's weights of a layer, `[F, C, R, S]`.
pub struct LayerWeights<'a> {
    /// The weights.
    pub values: &'a [f32],
    /// (R, S).
    pub kernel: (usize, usize),
    /// Whose filters a pass computes.
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

    /// The weights from those under tap (r, s) of `pass` on.
    pub fn tap(&self, pass: &Pass, r: usize, s: usize) -> &[f32] {
        &self.values[pass.row.tap(r) * self.kernel.1 + pass.column.tap(s)..]
    }
}
