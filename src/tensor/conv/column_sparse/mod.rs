//! Convolution on some columns of its matrix: a filter reads these places of its window and no others ("shape-wise"
//! sparsity: W. Wen et al., "Learning Structured Sparsity in Deep Neural Networks", 2016).
//!
//! It is the dense product `[F, K] x [K, P Q N]` of the K columns, by kernels that read the K rows of the second matrix
//! where they lie, in a packed copy of the images: column k at position (p, q) is as far from column k at (0, 0) whatever k is,
//! so a list of K distances is all there is to the columns. Channels that no column reads are not even copied.
//!
//! The forward pass leaves out what lies over padding; the gradients have padding in their copies, as zeros.
//!
//! Letters: F filters, C channels, K columns of one group; P Q outputs; images `[C, H, W, N]`, weights `[F, K]`.

mod data_gradient;
mod forward;
mod layout;
mod padded;
#[cfg(test)]
mod tests;
mod weight_gradient;

use super::Shape;
use super::algorithm::{Algorithm, Convolve, half_a_vector};
use super::partial_sums::PartialSums;
use crate::Buffers;
use crate::blocks::{Line, Machine, lines};
use crate::scratch::Scratch;
use layout::ColumnLayout;

/// For a weight that has only some of its columns.
pub const ALGORITHM: Algorithm = Algorithm {
    least_batch: |machine, problem| half_a_vector(machine).filter(|_| problem.columns.is_some()),
    build: |problem, buffers| {
        let columns = problem.columns.expect("only a problem with columns is taken");
        Ok(Box::new(ColumnSparse::new(&problem.shape, columns, buffers)?))
    },
};

/// The convolution `shape` on some columns of its matrix, planned, with its buffers.
pub struct ColumnSparse {
    layout: ColumnLayout,
    /// Packed weights of all groups.
    packed: Vec<Line>,
    /// Of the weight gradient: of each group and channel block `[F, columns]`.
    sums: PartialSums,
    /// Room of each thread.
    scratch: Scratch,
}

impl ColumnSparse {
    /// On `columns` of each group's matrix, ascending, with room for as many threads as there are now.
    pub fn new(shape: &Shape, columns: &[usize], buffers: &mut Buffers) -> Result<ColumnSparse, String> {
        let layout = ColumnLayout::new(shape, columns, Machine::this());
        Ok(ColumnSparse {
            packed: buffers.zeros(&[lines(shape.groups * layout.weights())])?,
            sums: weight_gradient::sums(&layout, buffers)?,
            scratch: Scratch::new(layout.scratch(), buffers)?,
            layout,
        })
    }
}

impl Convolve for ColumnSparse {
    fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        forward::compute(self, batch, x, weight, bias, y);
    }

    fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        weight_gradient::compute(self, batch, x, dy, weight, bias);
    }

    fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        data_gradient::compute(self, batch, weight, dy, dx);
    }
}
