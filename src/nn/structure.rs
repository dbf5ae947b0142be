//! The kinds of structures that penalties push to zero, reports count and surgery removes.
//!
//! Letters: F filters, C channels, R S kernel; a convolution's weight is `[F, C, R, S]`, which is also the matrix `[F, C R S]`
//! of a product with im2col columns. Sources: W. Wen, C. Wu, Y. Wang, Y. Chen, H. Li, "Learning Structured Sparsity in Deep
//! Neural Networks" (2016); W. Wen et al., "Learning Intrinsic Sparse Structures within Long Short-Term Memory" (2018).

use serde::Serialize;

/// A kind of structure. A layer declares those that it has ([`super::declare::Parts::structures`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StructureKind {
    /// A filter of a convolution, `weight[f, :, :, :]` with its bias: a row of the matrix.
    Filters,
    /// The weights with which a convolution reads a channel, `weight[:, c, :, :]`.
    Channels,
    /// One place in all filters of a convolution, `weight[:, c, r, s]`: a column of the matrix. If a
    /// convolution has only some columns, one of these.
    Shapes,
    /// A two-dimensional filter, `weight[f, c, :, :]`.
    #[serde(rename = "filters_2d")]
    Filters2d,
    /// A convolution within a residual branch, with the batch norm after it.
    Layers,
    /// A row of a linear layer with its bias: a neuron.
    Neurons,
    /// A column of a linear layer: the weights with which it reads an input.
    Inputs,
    /// A hidden unit of a recurrent layer: its rows of all gates, its column of the recurrent weight, and the
    /// weights with which later layers read it. Biases are not part of it.
    HiddenUnits,
}
