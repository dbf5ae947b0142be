//! What a layer is made of, and what surgery may change of it.
//!
//! Penalties, reports, pruning and factorisation know no type of layer: they ask for its [`Parts`]. What a tensor is for, and
//! what its axes count, stands with the tensor ([`super::layer::ParameterSpec`]).
//!
//! Every layer declares itself, or it does not compile: one with structures of its own implements [`Declare`], one without
//! says so by [`WithoutMatrix`].

use ternflock_tensor::ConvolutionShape;

use super::layers::Columns;
use super::{LayerSpec, Shape, StructureKind};

/// A layer's declaration.
pub trait Declare {
    /// What the layer is made of.
    fn parts(&self) -> Parts<'_>;

    /// What surgery may change of its options.
    fn adjustable(&mut self) -> Adjustable<'_>;
}

/// A layer without a matrix of its own and without units of its own: there is nothing to prune or to factorise, and its
/// options stay whatever happens to its inputs. It may have tensors of one number per unit of its input, as batch norm has.
pub trait WithoutMatrix {}

impl<T: WithoutMatrix> Declare for T {
    fn parts(&self) -> Parts<'_> {
        Parts::default()
    }

    fn adjustable(&mut self) -> Adjustable<'_> {
        Adjustable::default()
    }
}

/// What a layer is made of.
#[derive(Clone, Copy, Default)]
pub struct Parts<'a> {
    /// The kinds of structures that its tensors are made of, in the order of reports.
    pub structures: &'static [StructureKind],
    /// The matrix that it multiplies its input by: what low-rank surgery writes as a product of two.
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
    /// What the layer calls the tensor. The tensor is another layer's where the layer is tied to one.
    pub tensor: &'static str,
    /// How many groups the rows come in, each of which reads units of its own.
    pub groups: usize,
    /// (R, S); (1, 1) without a kernel.
    pub kernel: (usize, usize),
    /// The columns that the tensor has.
    pub columns: &'a Columns,
    /// How the layer multiplies by it.
    pub product: Product<'a>,
    /// What can take the layer's place.
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
    /// At every window of an image.
    Windows(&'a dyn Windowed),
    /// Row by row, `x Wᵀ`; the product is the layer's output but for a bias.
    Rows,
    /// Row by row, as the input's part of all gates of a recurrent layer.
    Gates,
}

/// A layer whose matrix can be written as a product of two.
pub trait Factors {
    /// Two layers that together compute what this one does, where its matrix is a product of rank `rank`: the first has the
    /// second factor, `[r, d]`, as its `weight` and no bias; the second has the first factor, `[N, r]`, in place of the matrix.
    fn pair(&self, rank: usize) -> [LayerSpec; 2];
}

/// A layer that slides its matrix over images.
pub trait Windowed {
    /// What it computes of its input.
    ///
    /// # Errors
    /// What does not fit.
    fn geometry(&self, inputs: &[Shape]) -> Result<ConvolutionShape, String>;

    /// A vertical and a horizontal convolution in its place, `rank` filters between them (Tai et al., 2016): weights
    /// `[r, C, R, 1]` and `[F, r, 1, S]`.
    fn separable(&self, rank: usize) -> [LayerSpec; 2];
}

/// The state of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// H.
    pub hidden: usize,
    /// The rank of the recurrent weight, where that is a product.
    pub rank: Option<usize>,
}

/// Options that surgery may change.
#[derive(Default)]
pub struct Adjustable<'a> {
    /// The number of units that the layer gives its output; none of a layer whose units are its inputs'.
    pub units: Option<&'a mut usize>,
    /// How many of these units are zeros before those of the input.
    pub zeros_before: Option<&'a mut Option<usize>>,
    /// The columns that its matrix has.
    pub columns: Option<&'a mut Columns>,
    /// The rank of its recurrent weight.
    pub recurrent_rank: Option<&'a mut Option<usize>>,
}

#[cfg(test)]
mod tests;
