//! The recurrent highway network (Zilly et al., 2017, equations 6 to 9) with coupled gates: the carry gate is
//! 1 - t. A step goes through L levels, of which only the first sees the input:
//!
//! ```text
//! h   = tanh(W_h x_t [level 1] + R_h s + b_h)          the rows of each in the level's weight
//! t   = sigmoid(W_t x_t [level 1] + R_t s + b_t)       transform_bias is added
//! s'  = h t + s (1 - t)
//! ```
//!
//! with s the state after the level before, or after the step before. Rows of the weights: h, then t.

use serde::{Deserialize, Serialize};

use super::declare::declare_recurrent;
use super::describe::Recurrent;
use super::sizes::{BASIS, Options, Sizes, WEIGHT_IH};
use super::state_weight::StateWeight;
use crate::coupling::Axis;
use crate::init::Init;
use crate::layer::{BIAS, Backward, Forward, Layer, ParameterSpec, RECURRENT, RecurrentState};
use crate::size::{elements, multiply};
use crate::spec::default;
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, Gemm, add_scaled, for_each_row, rows, rows_mut, sigmoid, tanh, vectorise};

/// One layer of L levels: `weight_ih` `[2 H, D]`, `weight_hh` `[L, 2 H, H]`, `bias` `[L, 2 H]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rhn {
    /// H.
    pub hidden: usize,
    /// r: the recurrent weight is a product, `weight_hh` `[L, 2 H, r]` times `weight_hh_basis` `[r, H]`,
    /// which all levels share. Low-rank surgery sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrent_rank: Option<usize>,
    /// Whether the layer reads each sequence from its last step to its first. It then begins each batch with a zero state.
    #[serde(default, skip_serializing_if = "default::is_no")]
    pub reverse: bool,
    /// L.
    pub depth: usize,
    /// Added to the transform gate before its sigmoid, in addition to the trained bias; negative, so that
    /// states are initially carried through.
    #[serde(default)]
    pub transform_bias: f32,
    /// The initialisation of the weights.
    #[serde(default = "default::init")]
    pub init: Init,
    /// The initialisation of the bias.
    #[serde(default = "default::zeros")]
    pub bias_init: Init,
}

declare_recurrent!(Rhn);

impl Recurrent for Rhn {
    fn options(&self) -> Options {
        self.common_options()
    }

    fn sizes(&self, inputs: &[Shape]) -> Result<Sizes, String> {
        let sizes = Sizes::new(inputs, 2, self.options())?;
        elements(&[self.depth, 2, self.hidden, self.hidden])?;
        match (self.depth, self.transform_bias.is_finite()) {
            (0, _) => Err("depth must be at least 1".into()),
            (_, false) => Err("transform_bias must be finite".into()),
            _ => Ok(sizes),
        }
    }

    fn parameters(&self, sizes: &Sizes) -> Vec<ParameterSpec> {
        let mut specs = sizes.parameters(self.options().inits);
        for spec in specs.iter_mut().filter(|spec| spec.name != WEIGHT_IH) {
            spec.shape.insert(0, self.depth);
            spec.axes.insert(0, Axis::Free);
        }
        specs
    }

    fn multiply_adds(&self, sizes: &Sizes) -> u64 {
        let levels = multiply(&[sizes.steps, self.depth - 1, sizes.state_multiply_adds()]);
        sizes.multiply_adds().saturating_add(levels)
    }

    fn unroll(
        &self,
        sizes: Sizes,
        execution: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let batch = execution.batch;
        let Sizes { steps, hidden, .. } = sizes;
        Ok(Box::new(Unrolled {
            sizes,
            gemm: sizes.gemm(execution, buffers)?,
            state_weights: buffers
                .repeat(self.depth, |buffers| StateWeight::new(&sizes, execution, buffers))?,
            depth: self.depth,
            transform_bias: self.transform_bias,
            recurrent_state: buffers.zeros(&[if sizes.reverse { 0 } else { batch }, hidden])?,
            before: buffers.zeros(&[self.depth, steps, batch, hidden])?,
            gates: buffers.zeros(&[self.depth, steps, batch, 2 * hidden])?,
            ds: buffers.zeros(&[batch, hidden])?,
        }))
    }
}

struct Unrolled {
    sizes: Sizes,
    /// Of each level.
    gemm: Gemm,
    state_weights: Vec<StateWeight>,
    depth: usize,
    transform_bias: f32,
    /// The state at the end of the last batch: `[capacity, H]`; empty in a layer that reads backwards.
    recurrent_state: Vec<f32>,
    /// The state before each level of each step: `[L, T, N, H]`.
    before: Vec<f32>,
    /// `[L, T, N, 2 H]`: the values of h and t after a forward pass, and their gradients after a backward
    /// pass.
    gates: Vec<f32>,
    /// The gradient of the state from later levels: `[N, H]`.
    ds: Vec<f32>,
}

impl Unrolled {
    /// The range of level `level` of step `t`, where the rows of a step have `width` elements.
    fn place(&self, level: usize, t: usize, width: usize) -> std::ops::Range<usize> {
        let first = (level * self.sizes.steps + t) * width;
        first..first + width
    }
}

impl Layer for Unrolled {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, hidden, width) = (pass.batch, self.sizes.hidden, self.sizes.width());
        let biases = pass.parameters.get(BIAS);
        let weights = pass.parameters.get(RECURRENT).chunks_exact(width * self.sizes.state_columns());
        let basis = pass.parameters.find(BASIS);
        let levels = self.state_weights.iter_mut().zip(weights);
        levels.for_each(|(state, weight)| state.begin_forward(weight, basis));
        let transform_bias = self.transform_bias;
        self.sizes.input_side(
            &mut self.gemm,
            n,
            pass.x.get(0),
            pass.parameters.get(WEIGHT_IH),
            &mut self.gates,
        );
        let first = self.place(0, self.sizes.step(0), n * hidden);
        match self.sizes.reverse {
            false => self.before[first].copy_from_slice(&self.recurrent_state[..n * hidden]),
            true => self.before[first].fill(0.0),
        }
        for read in 0..self.sizes.steps {
            let t = self.sizes.step(read);
            let y = &mut pass.y[t * n * hidden..(t + 1) * n * hidden];
            for (level, bias) in biases.chunks_exact(width).enumerate() {
                let place = self.place(level, t, n * hidden);
                let gates = &mut self.gates[2 * place.start..2 * place.end];
                let before = &self.before[place];
                let beta = if level == 0 { 1.0 } else { 0.0 };
                self.state_weights[level].forward(t, n, before, beta, gates);
                // The state after a level is computed in the output, which finally holds the state after the
                // last level.
                let all = (rows_mut(gates, width), rows(before, hidden), rows_mut(&mut *y, hidden));
                for_each_row(all, |_, (gates, before, after)| {
                    vectorise(
                        #[inline(always)]
                        || step_row(transform_bias, bias, gates, before, after),
                    );
                });
                let next = match level + 1 == self.depth {
                    false => Some(self.place(level + 1, t, n * hidden)),
                    true => {
                        let is_last = read + 1 == self.sizes.steps;
                        (!is_last).then(|| self.place(0, self.sizes.step(read + 1), n * hidden))
                    }
                };
                match next {
                    Some(next) => self.before[next].copy_from_slice(y),
                    None if self.sizes.reverse => (),
                    None => self.recurrent_state[..n * hidden].copy_from_slice(y),
                }
            }
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (n, hidden, width) = (pass.batch, self.sizes.hidden, self.sizes.width());
        let weights = pass.parameters.get(RECURRENT).chunks_exact(width * self.sizes.state_columns());
        let basis = pass.parameters.find(BASIS);
        let levels = self.state_weights.iter_mut().zip(weights);
        levels.for_each(|(state, weight)| state.begin_backward(weight, basis));
        self.ds[..n * hidden].fill(0.0);
        for t in (0..self.sizes.steps).map(|read| self.sizes.step(read)).rev() {
            let dy = &pass.dy[t * n * hidden..(t + 1) * n * hidden];
            add_scaled(1.0, dy, &mut self.ds[..n * hidden]);
            for level in (0..self.depth).rev() {
                let place = self.place(level, t, n * hidden);
                let (gates, ds) =
                    (&mut self.gates[2 * place.start..2 * place.end], &mut self.ds[..n * hidden]);
                let all = (rows_mut(gates, width), rows(&self.before[place], hidden), rows_mut(ds, hidden));
                for_each_row(all, |_, (gates, before, ds)| {
                    vectorise(
                        #[inline(always)]
                        || back_row(gates, before, ds),
                    );
                });
                self.state_weights[level].backward(t, n, gates, 1.0, ds);
            }
        }
        let gradients = &mut pass.gradients;
        self.sizes.input_weight_back(&mut self.gemm, n, &self.gates, pass.x.get(0), gradients.get(WEIGHT_IH));
        let level_rows = self.sizes.steps * n * hidden;
        let levels = self.gates.chunks(2 * level_rows).zip(self.before.chunks(level_rows));
        let states = self.sizes.steps * n;
        let weights = gradients.get(RECURRENT).chunks_exact_mut(width * self.sizes.state_columns());
        for (state, (weight, (gates, before))) in self.state_weights.iter().zip(weights.zip(levels.clone())) {
            state.weight_back(&mut self.gemm, states, gates, before, weight);
        }
        if let Some(basis) = gradients.find(BASIS) {
            for (level, (state, (_, before))) in self.state_weights.iter().zip(levels.clone()).enumerate() {
                state.basis_back(&mut self.gemm, states, before, if level == 0 { 0.0 } else { 1.0 }, basis);
            }
        }
        for (bias, (gates, _)) in gradients.get(BIAS).chunks_exact_mut(width).zip(levels) {
            self.sizes.bias_back(n, gates, bias);
        }
        if let Some(dx) = pass.dx.get(0) {
            self.sizes.input_back(&mut self.gemm, n, &self.gates, pass.parameters.get(WEIGHT_IH), dx);
        }
    }

    fn recurrent_state(&mut self) -> Vec<RecurrentState<'_>> {
        let (width, values) = (self.sizes.hidden, &mut self.recurrent_state);
        let carried = (!self.sizes.reverse).then_some(RecurrentState { name: "h", width, values });
        carried.into_iter().collect()
    }

    fn rewind(&mut self, batch: usize) {
        if !self.sizes.reverse {
            let rows = batch * self.sizes.hidden;
            self.recurrent_state[..rows].copy_from_slice(&self.before[..rows]);
        }
    }
}

#[inline(always)]
fn step_row(transform_bias: f32, bias: &[f32], gates: &mut [f32], before: &[f32], after: &mut [f32]) {
    let hidden = after.len();
    let (h, t) = gates[..2 * hidden].split_at_mut(hidden);
    let (b_h, b_t) = bias[..2 * hidden].split_at(hidden);
    let before = &before[..hidden];
    for k in 0..hidden {
        h[k] = tanh(h[k] + b_h[k]);
        t[k] = sigmoid(t[k] + (b_t[k] + transform_bias));
        after[k] = before[k] + t[k] * (h[k] - before[k]);
    }
}

/// `ds`, the gradient of the state after the level, becomes the part of the gradient of the state before it
/// that passes through the carry gate.
#[inline(always)]
fn back_row(gates: &mut [f32], before: &[f32], ds: &mut [f32]) {
    let hidden = ds.len();
    let (h, t) = gates[..2 * hidden].split_at_mut(hidden);
    let before = &before[..hidden];
    for k in 0..hidden {
        let d = ds[k];
        ds[k] = d * (1.0 - t[k]);
        let dt = d * (h[k] - before[k]) * (t[k] * (1.0 - t[k]));
        h[k] = d * t[k] * (1.0 - h[k] * h[k]);
        t[k] = dt;
    }
}
