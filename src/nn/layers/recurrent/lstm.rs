//! Long short-term memory without peepholes (Zaremba et al., 2014, section 3.1; Hochreiter and Schmidhuber, 1997, with
//! the forget gate of Gers et al., 2000):
//!
//! ```text
//! i, f, o = sigmoid(W_ih x_t + W_hh h_(t-1) + b)      the rows of each gate; forget_bias is added for f
//! g       = tanh(the same)
//! c_t     = f c_(t-1) + i g
//! h_t     = o tanh(c_t)
//! ```
//!
//! The rows of the weights have PyTorch's order: i, f, g, o.

use serde::{Deserialize, Serialize};

use super::backward;
use super::declare::declare_recurrent;
use super::describe::Recurrent;
use super::history::History;
use super::sizes::{BASIS, Options, Sizes, WEIGHT_IH};
use super::state_weight::StateWeight;
use crate::init::Init;
use crate::layer::{BIAS, Backward, Forward, Layer, RECURRENT, RecurrentState};
use crate::spec::default;
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, Gemm, for_each_row, rows, rows_mut, sigmoid, tanh, vectorise};

/// One level of long short-term memory; a stack consists of several layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lstm {
    /// H.
    pub hidden: usize,
    /// r: the recurrent weight is a product, `weight_hh` `[G H, r]` times `weight_hh_basis` `[r, H]`. Low-rank surgery sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrent_rank: Option<usize>,
    /// Whether the layer reads each sequence from its last step to its first. It then begins each batch with a zero state.
    #[serde(default, skip_serializing_if = "default::is_no")]
    pub reverse: bool,
    /// Added to the forget gate before its sigmoid, in addition to the trained bias (TensorFlow's
    /// `BasicLSTMCell`).
    #[serde(default)]
    pub forget_bias: f32,
    /// The initialisation of the weights.
    #[serde(default = "default::init")]
    pub init: Init,
    /// The initialisation of the bias.
    #[serde(default = "default::zeros")]
    pub bias_init: Init,
}

declare_recurrent!(Lstm);

impl Recurrent for Lstm {
    fn options(&self) -> Options {
        self.common_options()
    }

    fn sizes(&self, inputs: &[Shape]) -> Result<Sizes, String> {
        match self.forget_bias.is_finite() {
            true => Sizes::new(inputs, 4, self.options()),
            false => Err("forget_bias must be finite".into()),
        }
    }

    fn unroll(
        &self,
        sizes: Sizes,
        execution: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let batch = execution.batch;
        let (steps, hidden) = (sizes.steps, sizes.hidden);
        Ok(Box::new(Unrolled {
            sizes,
            gemm: sizes.gemm(execution, buffers)?,
            state_weight: StateWeight::new(&sizes, execution, buffers)?,
            forget_bias: self.forget_bias,
            h: History::new("h", &sizes, batch, buffers)?,
            c: History::new("c", &sizes, batch, buffers)?,
            gates: buffers.zeros(&[steps, batch, sizes.width()])?,
            dh: buffers.zeros(&[batch, hidden])?,
            dc: buffers.zeros(&[batch, hidden])?,
        }))
    }
}

struct Unrolled {
    sizes: Sizes,
    gemm: Gemm,
    state_weight: StateWeight,
    forget_bias: f32,
    h: History,
    c: History,
    /// `[T, N, 4 H]`: the values of the gates after a forward pass, their gradients after a backward pass.
    gates: Vec<f32>,
    /// The gradients of the states from later steps: `[N, H]` each.
    dh: Vec<f32>,
    dc: Vec<f32>,
}

impl Layer for Unrolled {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, rows, width) = (pass.batch, pass.batch * self.sizes.hidden, pass.batch * self.sizes.width());
        let bias = pass.parameters.get(BIAS);
        let basis = pass.parameters.find(BASIS);
        self.state_weight.begin_forward(pass.parameters.get(RECURRENT), basis);
        self.sizes.input_side(
            &mut self.gemm,
            n,
            pass.x.get(0),
            pass.parameters.get(WEIGHT_IH),
            &mut self.gates,
        );
        self.h.begin(n);
        self.c.begin(n);
        for t in (0..self.sizes.steps).map(|place| self.sizes.step(place)) {
            let gates = &mut self.gates[t * width..(t + 1) * width];
            let ((h_before, h), (c_before, c)) = (self.h.around(t, n), self.c.around(t, n));
            self.state_weight.forward(t, n, h_before, 1.0, gates);
            step(self.sizes.hidden, self.forget_bias, bias, gates, c_before, c, h);
            pass.y[t * rows..(t + 1) * rows].copy_from_slice(h);
        }
        self.h.end(n);
        self.c.end(n);
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (n, rows, width) = (pass.batch, pass.batch * self.sizes.hidden, pass.batch * self.sizes.width());
        let (dh, dc) = (&mut self.dh[..rows], &mut self.dc[..rows]);
        dh.fill(0.0);
        dc.fill(0.0);
        let basis = pass.parameters.find(BASIS);
        self.state_weight.begin_backward(pass.parameters.get(RECURRENT), basis);
        for (place, t) in (0..self.sizes.steps).map(|place| (place, self.sizes.step(place))).rev() {
            let gates = &mut self.gates[t * width..(t + 1) * width];
            let dy = &pass.dy[t * rows..(t + 1) * rows];
            back(self.sizes.hidden, gates, self.c.before(t, n), self.c.after(t, n), dy, dh, dc);
            if self.state_weight.needs_backward(place) {
                self.state_weight.backward(t, n, gates, 0.0, dh);
            }
        }
        backward::finish(
            &mut pass,
            &self.sizes,
            &mut self.gemm,
            &self.state_weight,
            [&self.gates, &self.gates, self.h.befores(n)],
        );
    }

    fn recurrent_state(&mut self) -> Vec<RecurrentState<'_>> {
        [&mut self.h, &mut self.c].into_iter().filter_map(History::recurrent_state).collect()
    }

    fn rewind(&mut self, batch: usize) {
        [&mut self.h, &mut self.c].into_iter().for_each(|state| state.rewind(batch));
    }
}

/// Computes the values of the gates from the sums in `gates` `[N, 4 H]`, and the states `c` and `h` `[N, H]`.
fn step(
    hidden: usize,
    forget_bias: f32,
    bias: &[f32],
    gates: &mut [f32],
    before: &[f32],
    c: &mut [f32],
    h: &mut [f32],
) {
    let states = (rows(before, hidden), rows_mut(c, hidden), rows_mut(h, hidden));
    for_each_row((rows_mut(gates, 4 * hidden), states), |_, (gates, (before, c, h))| {
        vectorise(
            #[inline(always)]
            || step_row(forget_bias, bias, gates, before, c, h),
        );
    });
}

#[inline(always)]
fn step_row(forget_bias: f32, bias: &[f32], gates: &mut [f32], before: &[f32], c: &mut [f32], h: &mut [f32]) {
    let hidden = h.len();
    let [i, f, g, o] = quarters_mut(gates, hidden);
    let [b_i, b_f, b_g, b_o] = quarters(bias, hidden);
    let (before, c) = (&before[..hidden], &mut c[..hidden]);
    for k in 0..hidden {
        i[k] = sigmoid(i[k] + b_i[k]);
        f[k] = sigmoid(f[k] + (b_f[k] + forget_bias));
        g[k] = tanh(g[k] + b_g[k]);
        o[k] = sigmoid(o[k] + b_o[k]);
        c[k] = f[k] * before[k] + i[k] * g[k];
        h[k] = o[k] * tanh(c[k]);
    }
}

/// Computes the gradients of the gates from their values, given the gradient `dy` of the output and the
/// gradients `dh` and `dc` `[N, H]` of the states from the next step. `dc` becomes the gradient of the
/// previous cell state.
fn back(hidden: usize, gates: &mut [f32], before: &[f32], c: &[f32], dy: &[f32], dh: &[f32], dc: &mut [f32]) {
    let states = (rows(before, hidden), rows(c, hidden));
    let outputs = (rows(dy, hidden), rows(dh, hidden), rows_mut(dc, hidden));
    for_each_row((rows_mut(gates, 4 * hidden), states, outputs), |_, (gates, (before, c), (dy, dh, dc))| {
        vectorise(
            #[inline(always)]
            || back_row(gates, before, c, dy, dh, dc),
        );
    });
}

#[inline(always)]
fn back_row(gates: &mut [f32], before: &[f32], c: &[f32], dy: &[f32], dh: &[f32], dc: &mut [f32]) {
    let hidden = dy.len();
    let [i, f, g, o] = quarters_mut(gates, hidden);
    let (before, c, dh, dc) = (&before[..hidden], &c[..hidden], &dh[..hidden], &mut dc[..hidden]);
    for k in 0..hidden {
        let (dh, end) = (dy[k] + dh[k], tanh(c[k]));
        let dcell = dc[k] + dh * o[k] * (1.0 - end * end);
        dc[k] = dcell * f[k];
        o[k] = dh * end * (o[k] * (1.0 - o[k]));
        f[k] = dcell * before[k] * (f[k] * (1.0 - f[k]));
        let (di, dg) = (dcell * g[k] * (i[k] * (1.0 - i[k])), dcell * i[k] * (1.0 - g[k] * g[k]));
        (i[k], g[k]) = (di, dg);
    }
}

/// Gates i, f, g and o of a row.
#[inline(always)]
fn quarters(row: &[f32], hidden: usize) -> [&[f32]; 4] {
    let ((i, f), (g, o)) = (row[..2 * hidden].split_at(hidden), row[2 * hidden..4 * hidden].split_at(hidden));
    [i, f, g, o]
}

#[inline(always)]
fn quarters_mut(row: &mut [f32], hidden: usize) -> [&mut [f32]; 4] {
    let (inputs, outputs) = row[..4 * hidden].split_at_mut(2 * hidden);
    let ((i, f), (g, o)) = (inputs.split_at_mut(hidden), outputs.split_at_mut(hidden));
    [i, f, g, o]
}
