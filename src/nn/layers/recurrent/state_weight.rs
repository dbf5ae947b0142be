//! The recurrent weight during the steps of a pass: `weight_hh` `[G H, H]`, packed once and multiplied at
//! each step; or, in a layer with a recurrent rank r, `weight_hh` `[G H, r]` and `weight_hh_basis` `[r, H]`,
//! multiplied one after another.

use super::sizes::Sizes;
use crate::Execution;
use ternflock_tensor::{Buffers, Gemm, Panels, matrix, matrix_mut};

pub(super) struct StateWeight {
    /// G H.
    width: usize,
    /// H, or r where there is a basis.
    columns: usize,
    panels: Panels,
    basis: Option<Basis>,
}

/// `weight_hh_basis`.
struct Basis {
    /// H.
    hidden: usize,
    panels: Panels,
    /// `[T, N, r]`: the state before each step, times the basis.
    states: Vec<f32>,
    /// `[T, N, r]`: its gradient.
    gradients: Vec<f32>,
}

impl StateWeight {
    /// Allocates for passes as in `execution`.
    pub fn new(sizes: &Sizes, execution: Execution, buffers: &mut Buffers) -> Result<StateWeight, String> {
        let (hidden, width, columns) = (sizes.hidden, sizes.width(), sizes.state_columns());
        let Execution { batch, precision } = execution;
        let basis = sizes.rank.map(|rank| -> Result<Basis, String> {
            Ok(Basis {
                hidden,
                panels: Panels::new(precision, [batch, hidden, rank], buffers)?,
                states: buffers.zeros(&[sizes.steps, batch, rank])?,
                gradients: buffers.zeros(&[sizes.steps, batch, rank])?,
            })
        });
        let basis = basis.transpose()?;
        Ok(StateWeight {
            width,
            columns,
            panels: Panels::new(precision, [batch, columns, width], buffers)?,
            basis,
        })
    }

    /// Begins a forward pass with `weight_hh` and, if there is one, `basis`.
    pub fn begin_forward(&mut self, weight_hh: &[f32], basis: Option<&[f32]>) {
        self.panels.pack(matrix(weight_hh, self.width, self.columns).reversed_axes());
        if let (Some(own), Some(basis)) = (&mut self.basis, basis) {
            own.panels.pack(matrix(basis, self.columns, own.hidden).reversed_axes());
        }
    }

    /// Adds the contribution of the state to the gates of step `t`: `gates` `[N, G H]` = `beta` `gates` + `h`
    /// `[N, H]` times the weight's transpose.
    pub fn forward(&mut self, t: usize, n: usize, h: &[f32], beta: f32, gates: &mut [f32]) {
        match &mut self.basis {
            None => self.panels.multiply(n, h, beta, gates),
            Some(basis) => {
                let place = t * n * self.columns..(t + 1) * n * self.columns;
                basis.panels.multiply(n, h, 0.0, &mut basis.states[place.clone()]);
                self.panels.multiply(n, &basis.states[place], beta, gates);
            }
        }
    }

    /// Begins a backward pass with the same weights.
    pub fn begin_backward(&mut self, weight_hh: &[f32], basis: Option<&[f32]>) {
        self.panels.pack(matrix(weight_hh, self.width, self.columns));
        if let (Some(own), Some(basis)) = (&mut self.basis, basis) {
            own.panels.pack(matrix(basis, self.columns, own.hidden));
        }
    }

    /// Whether the gradients of this weight need [`StateWeight::backward`] at the step that is read at `place`, even if
    /// the gradient of the initial state is not wanted.
    pub fn needs_backward(&self, place: usize) -> bool {
        place > 0 || self.basis.is_some()
    }

    /// The gradient of the state that the gates of step `t` read: `dh` `[N, H]` = `beta` `dh` + `gates` `[N,
    /// G H]` times the weight.
    pub fn backward(&mut self, t: usize, n: usize, gates: &[f32], beta: f32, dh: &mut [f32]) {
        match &mut self.basis {
            None => self.panels.multiply(n, gates, beta, dh),
            Some(basis) => {
                let place = t * n * self.columns..(t + 1) * n * self.columns;
                self.panels.multiply(n, gates, 0.0, &mut basis.gradients[place.clone()]);
                basis.panels.multiply(n, &basis.gradients[place], beta, dh);
            }
        }
    }

    /// The gradient of `weight_hh`, from the gradients of the gates, `[T N, G H]`, and the state before each
    /// step, `[T N, H]`.
    pub fn weight_back(&self, gemm: &mut Gemm, rows: usize, gates: &[f32], h: &[f32], weight_hh: &mut [f32]) {
        let (columns, width) = (self.columns, self.width);
        let states = self.basis.as_ref().map_or(h, |basis| &basis.states);
        let (gates, states) = (matrix(gates, rows, width), matrix(states, rows, columns));
        gemm.multiply(1.0, gates.t(), states, 0.0, matrix_mut(weight_hh, width, columns));
    }

    /// Computes `gradient` = `beta` `gradient` + the gradient of `weight_hh_basis`, if there is one.
    pub fn basis_back(&self, gemm: &mut Gemm, rows: usize, h: &[f32], beta: f32, gradient: &mut [f32]) {
        let Some(basis) = &self.basis else { return };
        let (gradients, h) = (matrix(&basis.gradients, rows, self.columns), matrix(h, rows, basis.hidden));
        gemm.multiply(1.0, gradients.t(), h, beta, matrix_mut(gradient, self.columns, basis.hidden));
    }
}
