//! Code shared by the recurrent layers: shapes, parameters and matrix products.

use super::super::single_sequence;
use crate::coupling::Axis;
use crate::init::{Fan, Init};
use crate::layer::{BIAS, ParameterSpec, RECURRENT, TensorRole};
use crate::size::{elements, multiply};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, Gemm, add_scaled, matrix, matrix_mut};

/// The tensor `[G H, D]` that reads the input; [`RECURRENT`] `[G H, H]` reads the state, and [`BIAS`] is `[G H]`.
pub(super) const WEIGHT_IH: &str = "weight_ih";

/// The tensor `[r, H]` that reads the state if the recurrent weight is a product; [`RECURRENT`] is then `[G
/// H, r]`.
pub(super) const BASIS: &str = "weight_hh_basis";

/// The options that all recurrent layers have.
#[derive(Clone, Copy)]
pub(super) struct Options {
    /// H.
    pub hidden: usize,
    /// The rank of the recurrent weight if it is a product.
    pub rank: Option<usize>,
    /// Whether the last step of a sequence is read first.
    pub reverse: bool,
    /// The initial values of weights and biases.
    pub inits: [Init; 2],
}

/// T, D, H and G, and the rank r of the recurrent weight if it is a product: `weight_hh` `[G H, r]` times
/// `weight_hh_basis` `[r, H]`, which is the last of the parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub steps: usize,
    pub features: usize,
    pub hidden: usize,
    pub gates: usize,
    pub rank: Option<usize>,
    /// Whether the last step of a sequence is read first.
    pub reverse: bool,
}

impl Sizes {
    /// The sizes of a layer with the `options` that all have, that reads `inputs`. Its weights have `gates` blocks of
    /// H rows.
    pub fn new(inputs: &[Shape], gates: usize, options: Options) -> Result<Sizes, String> {
        let Options { hidden, rank, reverse, inits } = options;
        inits.into_iter().try_for_each(Init::check)?;
        let (steps, features) = single_sequence(inputs)?;
        if hidden == 0 {
            return Err("hidden must be at least 1".into());
        }
        // A rank above H is wasteful, but surgery that removes hidden units may leave it.
        if rank == Some(0) {
            return Err("recurrent_rank must be at least 1".into());
        }
        elements(&[gates, hidden, rank.unwrap_or(hidden)])?;
        elements(&[gates, hidden, features])?;
        elements(&[gates, hidden, hidden])?;
        Ok(Sizes { steps, features, hidden, gates, rank, reverse })
    }

    /// The step that is read at `place` of the order in which steps are read.
    pub fn step(&self, place: usize) -> usize {
        if self.reverse { self.steps - 1 - place } else { place }
    }

    /// G H.
    pub fn width(&self) -> usize {
        self.gates * self.hidden
    }

    /// The number of columns of `weight_hh`: H or r.
    pub fn state_columns(&self) -> usize {
        self.rank.unwrap_or(self.hidden)
    }

    pub fn output(&self) -> Shape {
        Shape::Sequence { steps: self.steps, features: self.hidden }
    }

    /// Weights with PyTorch's names and a single bias, because two biases that are added are equivalent to
    /// one; and the initialisations of weights and bias. A layer with a further tensor inserts it before the
    /// basis.
    pub fn parameters(&self, [init, bias_init]: [Init; 2]) -> Vec<ParameterSpec> {
        let gates = Axis::Makes(self.gates);
        let state = if self.rank.is_some() { Axis::Free } else { Axis::ReadsOwn };
        let weight = |name, role, inputs, reads| ParameterSpec {
            name,
            shape: vec![self.width(), inputs],
            init,
            fan: Fan { inputs, outputs: self.width() },
            role,
            axes: vec![gates.clone(), reads],
        };
        vec![
            weight(WEIGHT_IH, TensorRole::Matrix, self.features, Axis::Reads),
            weight(RECURRENT, TensorRole::Recurrent, self.state_columns(), state),
            self.bias(BIAS, self.gates, bias_init),
        ]
    }

    /// A bias of `gates` blocks of H numbers.
    pub fn bias(&self, name: &'static str, gates: usize, init: Init) -> ParameterSpec {
        ParameterSpec {
            name,
            shape: vec![gates * self.hidden],
            init,
            fan: Fan { inputs: self.state_columns(), outputs: self.width() },
            role: TensorRole::Bias,
            axes: vec![Axis::Makes(gates)],
        }
    }

    /// `weight_hh_basis`, if there is one.
    pub fn basis(&self, init: Init) -> Option<ParameterSpec> {
        let basis = |rank| ParameterSpec {
            name: BASIS,
            shape: vec![rank, self.hidden],
            init,
            fan: Fan { inputs: self.hidden, outputs: rank },
            role: TensorRole::RecurrentBasis,
            axes: vec![Axis::Free, Axis::ReadsOwn],
        };
        self.rank.map(basis)
    }

    pub fn multiply_adds(&self) -> u64 {
        multiply(&[self.steps, self.width() * self.features + self.state_multiply_adds()])
    }

    /// Multiply-adds of one product of a sample's state with the recurrent weight.
    pub fn state_multiply_adds(&self) -> usize {
        self.width() * self.state_columns() + self.rank.map_or(0, |rank| rank * self.hidden)
    }

    /// The matrix products of a layer of these sizes, except those of its steps.
    pub fn gemm(&self, execution: Execution, buffers: &mut Buffers) -> Result<Gemm, String> {
        let (rows, d, w) = (self.steps.saturating_mul(execution.batch), self.features, self.width());
        let state = self.state_columns();
        let sizes = [[rows, w, d], [rows, d, w], [w, d, rows], [w, state, rows], [state, self.hidden, rows]];
        Gemm::new(execution.precision, &sizes, buffers)
    }

    /// The contribution of the input to all gates of all steps: `gates` `[T N, G H]` = `x` `[T N, D]` times
    /// `weight_ih`ᵀ.
    pub fn input_side(&self, gemm: &mut Gemm, n: usize, x: &[f32], weight_ih: &[f32], gates: &mut [f32]) {
        let (rows, d, w) = (self.steps * n, self.features, self.width());
        gemm.multiply(1.0, matrix(x, rows, d), matrix(weight_ih, w, d).t(), 0.0, matrix_mut(gates, rows, w));
    }

    /// The gradient of the input: `dx` `[T N, D]` = `gates` `[T N, G H]` times `weight_ih`.
    pub fn input_back(&self, gemm: &mut Gemm, n: usize, gates: &[f32], weight_ih: &[f32], dx: &mut [f32]) {
        let (rows, d, w) = (self.steps * n, self.features, self.width());
        gemm.multiply(1.0, matrix(gates, rows, w), matrix(weight_ih, w, d), 0.0, matrix_mut(dx, rows, d));
    }

    /// The gradient of `weight_ih`, from the gradients of the gates `[T N, G H]`.
    pub fn input_weight_back(
        &self,
        gemm: &mut Gemm,
        n: usize,
        gates: &[f32],
        x: &[f32],
        weight_ih: &mut [f32],
    ) {
        let (rows, d, w) = (self.steps * n, self.features, self.width());
        gemm.multiply(1.0, matrix(gates, rows, w).t(), matrix(x, rows, d), 0.0, matrix_mut(weight_ih, w, d));
    }

    /// The gradient of the bias, from the gradients of the gates: the sum of their rows. A bias with fewer
    /// than G H numbers belongs to the last gates.
    pub fn bias_back(&self, n: usize, gates: &[f32], bias: &mut [f32]) {
        let width = self.width();
        let first = width - bias.len();
        bias.fill(0.0);
        for row in gates[..self.steps * n * width].chunks_exact(width) {
            add_scaled(1.0, &row[first..], bias);
        }
    }
}
