//! The recurrent weight, `weight_hh` `[G H, H]`, through the steps of a pass: packed once, multiplied by at each of them.

use super::sizes::Sizes;
use crate::tensor::{Panels, matrix};

pub(super) struct StateWeight {
    /// H.
    hidden: usize,
    /// G H.
    width: usize,
    panels: Panels,
}

impl StateWeight {
    pub fn new(sizes: &Sizes) -> StateWeight {
        let (hidden, width) = (sizes.hidden, sizes.width());
        StateWeight { hidden, width, panels: Panels::new(hidden, width) }
    }

    /// Elements of its buffers.
    pub fn elements(sizes: &Sizes) -> usize {
        Panels::elements(sizes.hidden, sizes.width())
    }

    /// A forward pass with `weight_hh` begins.
    pub fn begin_forward(&mut self, weight_hh: &[f32]) {
        self.panels.pack(matrix(weight_hh, self.width, self.hidden).reversed_axes());
    }

    /// The state's part of a step's gates: `gates` `[N, G H]` = `beta` `gates` + `h` `[N, H]` times `weight_hh`ᵀ.
    pub fn forward(&self, n: usize, h: &[f32], beta: f32, gates: &mut [f32]) {
        self.panels.multiply(n, h, beta, gates);
    }

    /// A backward pass with `weight_hh` begins.
    pub fn begin_backward(&mut self, weight_hh: &[f32]) {
        self.panels.pack(matrix(weight_hh, self.width, self.hidden));
    }

    /// The gradient of the state that a step's gates had: `dh` `[N, H]` = `beta` `dh` + `gates` `[N, G H]` times `weight_hh`.
    pub fn backward(&self, n: usize, gates: &[f32], beta: f32, dh: &mut [f32]) {
        self.panels.multiply(n, gates, beta, dh);
    }
}
