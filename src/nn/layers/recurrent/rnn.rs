//! The plain recurrent network (Elman, 1990): h_t = f(W_ih x_t + W_hh h_(t-1) + b).

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
use ternflock_tensor::{Buffers, Gemm, for_each_row, rows, rows_mut, tanh, vectorise};

/// The activation function f.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nonlinearity {
    /// Hyperbolic tangent.
    #[default]
    Tanh,
    /// max(x, 0).
    Relu,
}

/// Plain recurrent layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rnn {
    /// H.
    pub hidden: usize,
    /// r: the recurrent weight is a product, `weight_hh` `[G H, r]` times `weight_hh_basis` `[r, H]`. Low-rank surgery sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrent_rank: Option<usize>,
    /// Whether the layer reads each sequence from its last step to its first. It then begins each batch with a zero state.
    #[serde(default, skip_serializing_if = "default::is_no")]
    pub reverse: bool,
    /// f.
    #[serde(default)]
    pub nonlinearity: Nonlinearity,
    /// The initialisation of the weights.
    #[serde(default = "default::init")]
    pub init: Init,
    /// The initialisation of the bias.
    #[serde(default = "default::zeros")]
    pub bias_init: Init,
}

declare_recurrent!(Rnn);

impl Recurrent for Rnn {
    fn options(&self) -> Options {
        self.common_options()
    }

    fn sizes(&self, inputs: &[Shape]) -> Result<Sizes, String> {
        Sizes::new(inputs, 1, self.options())
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
            nonlinearity: self.nonlinearity,
            h: History::new("h", &sizes, batch, buffers)?,
            sums: buffers.zeros(&[steps, batch, hidden])?,
            dh: buffers.zeros(&[batch, hidden])?,
        }))
    }
}

struct Unrolled {
    sizes: Sizes,
    gemm: Gemm,
    state_weight: StateWeight,
    nonlinearity: Nonlinearity,
    h: History,
    /// `[T, N, H]`: the arguments of f; their gradients after a backward pass.
    sums: Vec<f32>,
    /// The gradient of the state from the later step: `[N, H]`.
    dh: Vec<f32>,
}

impl Layer for Unrolled {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, hidden) = (pass.batch, self.sizes.hidden);
        let bias = pass.parameters.get(BIAS);
        let basis = pass.parameters.find(BASIS);
        self.state_weight.begin_forward(pass.parameters.get(RECURRENT), basis);
        self.sizes.input_side(
            &mut self.gemm,
            n,
            pass.x.get(0),
            pass.parameters.get(WEIGHT_IH),
            &mut self.sums,
        );
        self.h.begin(n);
        for t in (0..self.sizes.steps).map(|place| self.sizes.step(place)) {
            let place = t * n * hidden..(t + 1) * n * hidden;
            let (sums, y) = (&mut self.sums[place.clone()], &mut pass.y[place]);
            let (before, h) = self.h.around(t, n);
            self.state_weight.forward(t, n, before, 1.0, sums);
            let nonlinearity = self.nonlinearity;
            for_each_row((rows(&*sums, hidden), rows_mut(h, hidden)), |_, (sums, h)| {
                vectorise(
                    #[inline(always)]
                    || step_row(nonlinearity, bias, sums, h),
                );
            });
            y.copy_from_slice(h);
        }
        self.h.end(n);
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (n, hidden) = (pass.batch, self.sizes.hidden);
        let (dh, nonlinearity) = (&mut self.dh[..n * hidden], self.nonlinearity);
        dh.fill(0.0);
        let basis = pass.parameters.find(BASIS);
        self.state_weight.begin_backward(pass.parameters.get(RECURRENT), basis);
        for (read, t) in (0..self.sizes.steps).map(|place| (place, self.sizes.step(place))).rev() {
            let place = t * n * hidden..(t + 1) * n * hidden;
            let (sums, dy, y) = (&mut self.sums[place.clone()], &pass.dy[place], self.h.after(t, n));
            let all = (rows_mut(sums, hidden), rows(dy, hidden), rows(y, hidden), rows(dh, hidden));
            for_each_row(all, |_, (sums, dy, y, dh)| {
                vectorise(
                    #[inline(always)]
                    || back_row(nonlinearity, sums, dy, y, dh),
                );
            });
            if self.state_weight.needs_backward(read) {
                self.state_weight.backward(t, n, sums, 0.0, dh);
            }
        }
        backward::finish(
            &mut pass,
            &self.sizes,
            &mut self.gemm,
            &self.state_weight,
            [&self.sums, &self.sums, self.h.befores(n)],
        );
    }

    fn recurrent_state(&mut self) -> Vec<RecurrentState<'_>> {
        self.h.recurrent_state().into_iter().collect()
    }

    fn rewind(&mut self, batch: usize) {
        self.h.rewind(batch);
    }
}

#[inline(always)]
fn step_row(nonlinearity: Nonlinearity, bias: &[f32], sums: &[f32], h: &mut [f32]) {
    let sums = h.iter_mut().zip(sums.iter().zip(bias));
    match nonlinearity {
        Nonlinearity::Tanh => sums.for_each(|(h, (sum, bias))| *h = tanh(sum + bias)),
        // Written so that a NaN stays one: a maximum would hide it.
        Nonlinearity::Relu => sums.for_each(|(h, (sum, bias))| {
            let sum = sum + bias;
            *h = if sum < 0.0 { 0.0 } else { sum };
        }),
    }
}

#[inline(always)]
fn back_row(nonlinearity: Nonlinearity, sums: &mut [f32], dy: &[f32], y: &[f32], dh: &[f32]) {
    let all = sums.iter_mut().zip(y).zip(dy.iter().zip(dh));
    match nonlinearity {
        Nonlinearity::Tanh => all.for_each(|((sum, y), (dy, dh))| *sum = (dy + dh) * (1.0 - y * y)),
        Nonlinearity::Relu => {
            all.for_each(|((sum, y), (dy, dh))| *sum = if *y > 0.0 { dy + dh } else { 0.0 });
        }
    }
}
