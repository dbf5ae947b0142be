//! The parts of a layer, and the options that surgery may change.
//!
//! Penalties, reports, pruning and factorisation know no type of layer: they use its [`Parts`]. The role of a
//! tensor, and what its axes count, are declared with the tensor ([`super::layer::ParameterSpec`]).
//!
//! A layer that does not declare itself does not compile: a layer with its own structures implements
//! [`Declare`], and one without them implements [`WithoutMatrix`].

use ternflock_tensor::ConvolutionShape;

use super::layers::Columns;
use super::{LayerSpec, Shape, StructureKind};

/// A layer's declaration.
pub trait Declare {
    /// The parts of the layer.
    fn parts(&self) -> Parts<'_>;

    /// The options that surgery may change.
    fn adjustable(&mut self) -> Adjustable<'_>;
}

/// A layer without its own matrix and without its own units: there is nothing to prune or to factorise, and
/// its options do not depend on its inputs. It may have tensors with one element per unit of its input, like
/// batch norm.
pub trait WithoutMatrix {}

impl<T: WithoutMatrix> Declare for T {
    fn parts(&self) -> Parts<'_> {
        Parts::default()
    }

    fn adjustable(&mut self) -> Adjustable<'_> {
        Adjustable::default()
    }
}

/// The parts of a layer.
#[derive(Clone, Copy, Default)]
pub struct Parts<'a> {
    /// The kinds of structures in its tensors, in the order of reports.
    pub structures: &'static [StructureKind],
    /// The matrix by which it multiplies its input. Low-rank surgery writes it as a product of two.
    pub matrix: Option<Matrix<'a>>,
    /// The state that it reads at each step of a sequence.
    pub state: Option<State>,
}

impl Parts<'_> {
    /// Whether the layer has structures of `kind`.
    pub fn has(&self, kind: StructureKind) -> bool {
        self.structures.contains(&kind)
    }
}

/// A tensor as a matrix `[N, d]`: a row per filter, per unit, or per gate of a hidden unit; R S columns per unit of the
/// input, those of the first unit first.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// The layer's name for the tensor. If the layer is tied to another one, the tensor belongs to that
    /// layer.
    pub tensor: &'static str,
    /// The number of groups of rows, each of which reads its own units.
    pub groups: usize,
    /// (R, S), or (K, 1) over time; (1, 1) without a kernel.
    pub kernel: (usize, usize),
    /// The columns that the tensor has.
    pub columns: &'a Columns,
    /// How the layer multiplies by it.
    pub product: Product<'a>,
    /// The layers that can replace this one.
    pub factors: &'a dyn Factors,
}

impl Matrix<'_> {
    /// R S.
    pub fn taps(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }
}

/// How a layer multiplies its input by its matrix.
#[derive(Clone, Copy)]
pub enum Product<'a> {
    /// At every window of an image or of a sequence.
    Windows(&'a dyn Windowed),
    /// Row by row, `x Wᵀ`; the product is the layer's output except for a bias.
    Rows,
    /// Row by row; the product is the contribution of the input to all gates of a recurrent layer.
    Gates,
}

/// A layer whose matrix can be written as a product of two.
pub trait Factors {
    /// Two layers that together compute the same as this one, if its matrix is a product of rank `rank`: the
    /// first has the second factor, `[r, d]`, as its `weight` and no bias; the second has the first factor,
    /// `[N, r]`, instead of the matrix.
    fn pair(&self, rank: usize) -> [LayerSpec; 2];
}

/// A layer that slides its matrix over images or sequences.
pub trait Windowed {
    /// The convolution of images that it computes. A sequence is an image whose pixels are its steps.
    ///
    /// # Errors
    /// If the shapes do not fit; the text describes the problem.
    fn geometry(&self, inputs: &[Shape]) -> Result<ConvolutionShape, String>;

    /// A vertical and a horizontal convolution that replace it, with `rank` filters between them (Tai et al.,
    /// 2016): weights `[r, C, R, 1]` and `[F, r, 1, S]`. `None` for a convolution over time.
    fn separable(&self, rank: usize) -> Option<[LayerSpec; 2]>;
}

/// The state of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// H.
    pub hidden: usize,
    /// The rank of the recurrent weight if that is a product.
    pub rank: Option<usize>,
}

/// Options that surgery may change.
#[derive(Default)]
pub struct Adjustable<'a> {
    /// The number of units that the layer adds to its output; `None` for a layer whose units are those of its
    /// inputs.
    pub units: Option<&'a mut usize>,
    /// The number of zero units before those of the input.
    pub zeros_before: Option<&'a mut Option<usize>>,
    /// The columns that its matrix has.
    pub columns: Option<&'a mut Columns>,
    /// The rank of its recurrent weight.
    pub recurrent_rank: Option<&'a mut Option<usize>>,
}

#[cfg(test)]
mod tests;
