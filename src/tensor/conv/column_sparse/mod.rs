//! Convolution with some columns of its weight matrix: a filter reads only these places of its window
//! ("shape-wise" sparsity: W. Wen et al., "Learning Structured Sparsity in Deep Neural Networks", 2016).
//!
//! It is the dense product `[F, K] x [K, P Q N]` of the K columns. The kernels read the K rows of the second
//! matrix directly from a packed copy of the images: the distance from column k at (0, 0) to column k at (p,
//! q) is the same for all k, so a list of K distances describes the columns. Channels that no column reads
//! are not copied.
//!
//! The forward pass skips taps over padding; the copies for the gradients contain the padding as zeros.
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
use super::rounded::with_precision;
use crate::blocks::{Line, Machine, room};
use crate::buffers::Buffers;
use crate::scratch::Scratch;
use layout::ColumnLayout;

/// The algorithm for weights with only some of their columns.
pub const ALGORITHM: Algorithm = Algorithm {
    least_batch: |machine, problem| half_a_vector(machine).filter(|_| problem.columns.is_some()),
    build: |problem, buffers| {
        let columns = problem.columns.expect("only a problem with columns is taken");
        with_precision(problem, buffers, |buffers| {
            Ok(Box::new(ColumnSparse::new(&problem.shape, columns, buffers)?))
        })
    },
};

/// The convolution `shape` with some columns of its matrix, planned, with its buffers.
pub struct ColumnSparse {
    layout: ColumnLayout,
    /// Packed weights of all groups.
    packed: Vec<Line>,
    /// The sums of the weight gradient: `[F, columns]` for each group and channel block.
    sums: PartialSums,
    /// The scratch space of each thread.
    scratch: Scratch,
}

impl ColumnSparse {
    /// The convolution with the ascending `columns` of each group's matrix, with buffers for the current
    /// number of threads.
    pub fn new(shape: &Shape, columns: &[usize], buffers: &mut Buffers) -> Result<ColumnSparse, String> {
        let layout = ColumnLayout::new(shape, columns, Machine::this(), buffers)?;
        Ok(ColumnSparse {
            packed: room(shape.groups * layout.weights(), buffers)?,
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
