//! The products that end a backward pass of a recurrent layer.

use super::sizes::{BASIS, Sizes, WEIGHT_IH};
use super::state_weight::StateWeight;
use crate::layer::{BIAS, Backward, RECURRENT};
use ternflock_tensor::Gemm;

/// The gradients of the parameters and of the input. `gates` `[T, N, G H]` is the gradient of the input's part of the
/// gates, `sums` `[T, N, G H]` that of the state's part, and `states` `[T, N, H]` the state before each step.
pub(super) fn finish(
    pass: &mut Backward<'_>,
    sizes: &Sizes,
    gemm: &mut Gemm,
    state_weight: &StateWeight,
    [gates, sums, states]: [&[f32]; 3],
) {
    let (n, rows, gradients) = (pass.batch, sizes.steps * pass.batch, &mut pass.gradients);
    sizes.input_weight_back(gemm, n, gates, pass.x.get(0), gradients.get(WEIGHT_IH));
    state_weight.weight_back(gemm, rows, sums, states, gradients.get(RECURRENT));
    if let Some(basis) = gradients.find(BASIS) {
        state_weight.basis_back(gemm, rows, states, 0.0, basis);
    }
    sizes.bias_back(n, gates, gradients.get(BIAS));
    if let Some(dx) = pass.dx.get(0) {
        sizes.input_back(gemm, n, gates, pass.parameters.get(WEIGHT_IH), dx);
    }
}
