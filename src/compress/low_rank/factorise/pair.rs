//! Replaces one layer by two, with weights that make them compute the same. Each layer declares these two
//! ([`ternflock_nn::declare::Factors`], [`ternflock_nn::declare::Windowed`]):
//!
//! | layer | first | second |
//! |---|---|---|
//! | conv2d `[F, C, R, S]` | conv2d of r filters; same kernel, stride and padding; no bias | conv2d 1x1 of F filters, the bias |
//! | conv2d, separable | conv2d R x 1 of r filters; vertical stride and padding; no bias | conv2d 1 x S of F filters; the horizontal ones; the bias |
//! | conv1d `[F, C, K]` | conv1d of r filters; same kernel, stride, padding and dilation; no bias | conv1d of F filters of one tap, the bias |
//! | linear `[U, D]` | linear of r units, no bias | linear of U units, the bias |
//!
//! If a convolution or a linear layer has only some columns of its matrix, the first of the two layers has the
//! same columns; the second has all of its own.
//!
//! | layer | first | second |
//! |---|---|---|
//! | lstm, gru, rnn, rhn | linear of r units, no bias | the layer, its `weight_ih` `[G H, r]`; the recurrent weight as it was |

use super::super::decompose::Decomposition;
use super::super::spectrum::Spectrum;
use super::super::weight::Matrix;
use ternflock_base::error::Result;
use ternflock_job::LowRankMethod;
use ternflock_nn::LayerSpec;
use ternflock_nn::declare::{self, Product};

/// How a weight is factorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Filters as sums of r basis filters.
    CrossFilter,
    /// A vertical and a horizontal convolution (Tai et al., 2016).
    Separable,
}

impl Form {
    /// The name of the first of the two layers that replace layer `name`.
    pub fn first_name(self, name: &str) -> String {
        match self {
            Form::CrossFilter => format!("{name}.basis"),
            Form::Separable => format!("{name}.vertical"),
        }
    }
}

/// The two layers.
pub(super) struct Pair {
    pub form: Form,
    pub layers: [LayerSpec; 2],
    /// The weights of the first and the second layer.
    pub weights: [Vec<f32>; 2],
    /// The name of the second layer's weight; the first layer's is `weight`.
    tensor: &'static str,
}

impl Pair {
    /// The tensors for [`Pair::weights`] if the pair replaces layer `name`.
    pub fn tensor_names(&self, name: &str) -> [String; 2] {
        [format!("{}/weight", self.form.first_name(name)), format!("{name}/{}", self.tensor)]
    }
}

/// A layer's weight, decomposed, before a rank is chosen.
pub(super) struct Halves<'a> {
    declared: declare::Matrix<'a>,
    form: Form,
    parts: Decomposition,
}

impl<'a> Halves<'a> {
    /// Decomposes the matrix `declared` of a layer, with the values `matrix`. The separable form always uses
    /// singular values.
    pub fn new(
        declared: declare::Matrix<'a>,
        matrix: Matrix<'_>,
        form: Form,
        method: LowRankMethod,
    ) -> Result<Self> {
        let parts = match form {
            Form::Separable => {
                let (rows, columns) = declared.kernel;
                let channels = matrix.width / declared.taps();
                let values = unfold(matrix.values, channels * rows, columns);
                let (filters, width) = (channels * rows, matrix.filters * columns);
                let unfolded = Matrix { name: matrix.name, values: &values, filters, width };
                Decomposition::new(LowRankMethod::Svd, unfolded)?
            }
            Form::CrossFilter => Decomposition::new(method, matrix)?,
        };
        Ok(Halves { declared, form, parts })
    }

    pub fn spectrum(&self) -> &Spectrum {
        &self.parts.spectrum
    }

    /// The two layers of rank `rank`.
    pub fn pair(&self, rank: usize) -> Pair {
        let factors = self.parts.factors(rank);
        let separable = match (self.form, self.declared.product) {
            (Form::Separable, Product::Windows(layer)) => layer.separable(rank),
            _ => None,
        };
        let (layers, weights) = match separable {
            Some(layers) => {
                let taps = factors.expand.len() / rank;
                let vertical = (0..rank * taps).map(|i| factors.expand[i % taps * rank + i / taps]);
                let (_, columns) = self.declared.kernel;
                (layers, [vertical.collect(), fold(&factors.basis, rank, columns)])
            }
            None => (self.declared.factors.pair(rank), [factors.basis, factors.expand]),
        };
        Pair { form: self.form, layers, weights, tensor: self.declared.tensor }
    }
}

/// A weight `[F, C, R, S]` as the matrix `[C R, F S]`; `taps` is C R. In a product V H of this matrix, each
/// column of V is a vertical filter, and each row of H holds one horizontal filter for each of the filters.
fn unfold(weight: &[f32], taps: usize, columns: usize) -> Vec<f32> {
    let mut matrix = Vec::with_capacity(weight.len());
    for tap in 0..taps {
        for filter in weight.chunks_exact(taps * columns) {
            matrix.extend_from_slice(&filter[tap * columns..(tap + 1) * columns]);
        }
    }
    matrix
}

/// A matrix `[r, F S]` as the weight `[F, r, 1, S]` of a horizontal convolution.
fn fold(matrix: &[f32], rank: usize, columns: usize) -> Vec<f32> {
    // The same transposition of the first two axes, for [r, F, S].
    let filters = matrix.len() / (rank * columns);
    unfold(matrix, filters, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfolding_and_folding_exchange_the_first_axes() {
        // F = 2, C R = 2, S = 2: filters [[1, 2], [3, 4]] and [[5, 6], [7, 8]].
        let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let unfolded = [1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0];
        assert_eq!(unfold(&weight, 2, 2), unfolded);
        assert_eq!(fold(&unfolded, 2, 2), weight);
        // r = 1, F = 4, S = 2; and r = 4, F = 1, S = 2.
        assert_eq!(fold(&weight, 1, 2), weight);
        assert_eq!(fold(&weight, 4, 2), weight);
        // r = 2, F = 4, S = 1.
        assert_eq!(fold(&weight, 2, 1), [1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0]);
    }
}
