//! The gated recurrent unit (Cho et al., 2014) as PyTorch computes it, with the reset gate applied after the
//! product:
//!
//! ```text
//! r, z = sigmoid(W_ih x_t + W_hh h_(t-1) + b)         the rows of each gate
//! n    = tanh(W_in x_t + b + r (W_hn h_(t-1) + bias_n))
//! h_t  = (1 - z) n + z h_(t-1)
//! ```
//!
//! The rows of the weights have PyTorch's order: r, z, n.

use serde::{Deserialize, Serialize};

use super::backward;
use super::declare::declare_recurrent;
use super::describe::Recurrent;
use super::history::History;
use super::sizes::{BASIS, Options, Sizes, WEIGHT_IH};
use super::state_weight::StateWeight;
use crate::init::Init;
use crate::layer::{BIAS, Backward, Forward, Layer, ParameterSpec, RECURRENT, RecurrentState};
use crate::spec::default;
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, Gemm, for_each_row, rows, rows_mut, sigmoid, tanh, vectorise};

/// The bias `[H]` inside the product with the reset gate.
const BIAS_N: &str = "bias_n";

/// One level of gated recurrent units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gru {
    /// H.
    pub hidden: usize,
    /// r: the recurrent weight is a product, `weight_hh` `[G H, r]` times `weight_hh_basis` `[r, H]`. Low-rank surgery sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrent_rank: Option<usize>,
    /// Whether the layer reads each sequence from its last step to its first. It then begins each batch with a zero state.
    #[serde(default, skip_serializing_if = "default::is_no")]
    pub reverse: bool,
    /// The initialisation of the weights.
    #[serde(default = "default::init")]
    pub init: Init,
    /// The initialisation of the biases.
    #[serde(default = "default::zeros")]
    pub bias_init: Init,
}

declare_recurrent!(Gru);

impl Recurrent for Gru {
    fn options(&self) -> Options {
        self.common_options()
    }

    fn sizes(&self, inputs: &[Shape]) -> Result<Sizes, String> {
        Sizes::new(inputs, 3, self.options())
    }

    fn parameters(&self, sizes: &Sizes) -> Vec<ParameterSpec> {
        let mut specs = sizes.parameters(self.options().inits);
        specs.push(sizes.bias(BIAS_N, 1, self.bias_init));
        specs
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
            state_weight: StateWeight::new(&sizes, execution, buffers)?,
            h: History::new("h", &sizes, batch, buffers)?,
            gates: buffers.zeros(&[steps, batch, sizes.width()])?,
            state_sums: buffers.zeros(&[steps, batch, sizes.width()])?,
            dh: buffers.zeros(&[batch, hidden])?,
        }))
    }
}

struct Unrolled {
    sizes: Sizes,
    gemm: Gemm,
    state_weight: StateWeight,
    h: History,
    /// `[T, N, 3 H]`: the values of r, z, n after a forward pass; the gradients of the input's sums after a
    /// backward pass.
    gates: Vec<f32>,
    /// `[T, N, 3 H]`: the state's sums, the last of them with bias_n; their gradients after a backward pass.
    state_sums: Vec<f32>,
    /// The gradient of the state from the later step: `[N, H]`.
    dh: Vec<f32>,
}

impl Layer for Unrolled {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, hidden, width) = (pass.batch, self.sizes.hidden, self.sizes.width());
        let (bias, bias_n) = (pass.parameters.get(BIAS), pass.parameters.get(BIAS_N));
        self.sizes.input_side(
            &mut self.gemm,
            n,
            pass.x.get(0),
            pass.parameters.get(WEIGHT_IH),
            &mut self.gates,
        );
        let basis = pass.parameters.find(BASIS);
        self.state_weight.begin_forward(pass.parameters.get(RECURRENT), basis);
        self.h.begin(n);
        for t in (0..self.sizes.steps).map(|place| self.sizes.step(place)) {
            let place = t * n * width..(t + 1) * n * width;
            let (gates, sums) = (&mut self.gates[place.clone()], &mut self.state_sums[place]);
            let (before, h) = self.h.around(t, n);
            self.state_weight.forward(t, n, before, 0.0, sums);
            let all =
                (rows_mut(gates, width), rows_mut(sums, width), rows(before, hidden), rows_mut(h, hidden));
            for_each_row(all, |_, (gates, sums, before, h)| {
                vectorise(
                    #[inline(always)]
                    || step_row(bias, bias_n, gates, sums, before, h),
                );
            });
            pass.y[t * n * hidden..(t + 1) * n * hidden].copy_from_slice(h);
        }
        self.h.end(n);
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (n, hidden, width) = (pass.batch, self.sizes.hidden, self.sizes.width());
        let dh = &mut self.dh[..n * hidden];
        dh.fill(0.0);
        let basis = pass.parameters.find(BASIS);
        self.state_weight.begin_backward(pass.parameters.get(RECURRENT), basis);
        for (read, t) in (0..self.sizes.steps).map(|place| (place, self.sizes.step(place))).rev() {
            let place = t * n * width..(t + 1) * n * width;
            let (gates, sums) = (&mut self.gates[place.clone()], &mut self.state_sums[place]);
            let dy = &pass.dy[t * n * hidden..(t + 1) * n * hidden];
            let states = (rows(self.h.before(t, n), hidden), rows(dy, hidden), rows_mut(dh, hidden));
            for_each_row(
                (rows_mut(gates, width), rows_mut(sums, width), states),
                |_, (gates, sums, states)| {
                    vectorise(
                        #[inline(always)]
                        || back_row(gates, sums, states.0, states.1, states.2),
                    );
                },
            );
            if self.state_weight.needs_backward(read) {
                self.state_weight.backward(t, n, sums, 1.0, dh);
            }
        }
        backward::finish(
            &mut pass,
            &self.sizes,
            &mut self.gemm,
            &self.state_weight,
            [&self.gates, &self.state_sums, self.h.befores(n)],
        );
        self.sizes.bias_back(n, &self.state_sums, pass.gradients.get(BIAS_N));
    }

    fn recurrent_state(&mut self) -> Vec<RecurrentState<'_>> {
        self.h.recurrent_state().into_iter().collect()
    }

    fn rewind(&mut self, batch: usize) {
        self.h.rewind(batch);
    }
}

#[inline(always)]
fn step_row(
    bias: &[f32],
    bias_n: &[f32],
    gates: &mut [f32],
    sums: &mut [f32],
    before: &[f32],
    h: &mut [f32],
) {
    let hidden = h.len();
    let [r, z, new] = thirds_mut(gates, hidden);
    let [s_r, s_z, s_n] = thirds_mut(sums, hidden);
    let (b_r, b_z, b_n) = (&bias[..hidden], &bias[hidden..2 * hidden], &bias[2 * hidden..3 * hidden]);
    let (before, bias_n) = (&before[..hidden], &bias_n[..hidden]);
    for k in 0..hidden {
        s_n[k] += bias_n[k];
        r[k] = sigmoid(r[k] + s_r[k] + b_r[k]);
        z[k] = sigmoid(z[k] + s_z[k] + b_z[k]);
        new[k] = tanh(new[k] + b_n[k] + r[k] * s_n[k]);
        h[k] = new[k] + z[k] * (before[k] - new[k]);
    }
}

/// `dh`, the gradient of the state from the next step, becomes the gradient of the previous state from this
/// step, without the part through its sums.
#[inline(always)]
fn back_row(gates: &mut [f32], sums: &mut [f32], before: &[f32], dy: &[f32], dh: &mut [f32]) {
    let hidden = dh.len();
    let [r, z, new] = thirds_mut(gates, hidden);
    let [s_r, s_z, s_n] = thirds_mut(sums, hidden);
    let (before, dy) = (&before[..hidden], &dy[..hidden]);
    for k in 0..hidden {
        let d = dy[k] + dh[k];
        dh[k] = d * z[k];
        let dz = d * (before[k] - new[k]) * (z[k] * (1.0 - z[k]));
        let dn = d * (1.0 - z[k]) * (1.0 - new[k] * new[k]);
        let dr = dn * s_n[k] * (r[k] * (1.0 - r[k]));
        (s_r[k], s_z[k], s_n[k]) = (dr, dz, dn * r[k]);
        (r[k], z[k], new[k]) = (dr, dz, dn);
    }
}

/// Gates r, z and n of a row.
#[inline(always)]
fn thirds_mut(row: &mut [f32], hidden: usize) -> [&mut [f32]; 3] {
    let (r, rest) = row[..3 * hidden].split_at_mut(hidden);
    let (z, n) = rest.split_at_mut(hidden);
    [r, z, n]
}
