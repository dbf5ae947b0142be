//! Two-dimensional convolution (cross-correlation, as in Caffe and PyTorch), forward and both gradients, in two ways.
//!
//! Letters: F filters, C channels, N samples, R S kernel, P Q output; images `[C, H, W, N]`, weights `[F, C / groups, R,
//! S]`.
//!
//! - [`Direct`]: kernels of our own. They vectorise over samples, so every kernel size and channel count runs at the speed
//!   of a large matrix product.
//! - [`Im2colGemm`]: BLAS on im2col tiles, which vectorises over channels and positions as well.
//!
//! Both also run on some columns of the weight as a matrix `[F, C / groups R S]` alone: the direct way then has kernels that go by
//! lists of columns, [`ColumnSparse`].
//!
//! Which is taken: direct for a batch of at least half a vector, columns for a smaller one and on a machine without vectors
//! (docs/adr/0011).

mod column_sparse;
mod correlation;
mod direct;
mod im2col_gemm;
mod kernel;
mod pack;
mod pass;
mod weight_gradient;

#[cfg(test)]
mod tests;

use super::Window;
use super::blocks::Machine;

use column_sparse::ColumnSparse;
use direct::Direct;
use im2col_gemm::Im2colGemm;
use pass::Pass;

/// What a convolution computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Over all channels.
    pub window: Window,
    /// Of all groups together.
    pub filters: usize,
    /// Filters and channels come in so many groups, and a filter sees the channels of its own alone.
    pub groups: usize,
}

impl Shape {
    /// The window over one group's channels.
    fn group(&self) -> Window {
        Window { channels: self.window.channels / self.groups, ..self.window }
    }

    /// The forward pass of one group.
    fn pass(&self) -> Pass {
        pass::forward(&self.window, self.window.channels / self.groups, self.filters / self.groups)
    }
}

/// Fewer lanes than any vector instructions have: there are none, and the kernels would run one value at a time.
const FEWEST_LANES: usize = 4;

/// Whether a batch of `batch` samples goes the direct way.
fn is_direct(machine: Machine, batch: usize) -> bool {
    machine.lanes >= FEWEST_LANES && 2 * batch >= machine.lanes
}

/// Room that columns need so that every batch of up to `batch` samples finds its way.
fn most_by_columns(machine: Machine, batch: usize) -> usize {
    if is_direct(machine, machine.lanes) { batch.min(machine.lanes) } else { batch }
}

/// A convolution with its buffers: a pass allocates nothing.
pub struct Convolution {
    machine: Machine,
    im2col_gemm: Im2colGemm,
    direct: Kernels,
}

/// Kernels of our own.
enum Kernels {
    /// For all columns of the weight.
    All(Box<Direct>),
    /// For some.
    ColumnSparse(Box<ColumnSparse>),
}

impl Convolution {
    /// Of `shape`, whose groups divide its filters and channels, for batches of at most `batch` samples.
    pub fn new(shape: Shape, batch: usize) -> Convolution {
        Self::on(Machine::this(), shape, None, batch)
    }

    /// As [`Convolution::new`], but on `columns` of each group's weight as a matrix `[F / groups, C / groups R S]`,
    /// ascending and at least one: all weights and their gradients are `[F, columns]`.
    pub fn of_columns(shape: Shape, columns: &[usize], batch: usize) -> Convolution {
        Self::on(Machine::this(), shape, Some(columns), batch)
    }

    fn on(machine: Machine, shape: Shape, columns: Option<&[usize]>, batch: usize) -> Convolution {
        let im2col_gemm = Im2colGemm::new(shape, columns, most_by_columns(machine, batch));
        let direct = match columns {
            None => Kernels::All(Box::new(Direct::new(shape))),
            Some(columns) => Kernels::ColumnSparse(Box::new(ColumnSparse::new(&shape, columns))),
        };
        Convolution { machine, im2col_gemm, direct }
    }

    /// Elements of the buffers that [`Convolution::new`], or [`Convolution::of_columns`], makes.
    pub fn elements(shape: &Shape, columns: Option<&[usize]>, batch: usize) -> usize {
        let im2col_gemm = im2col_gemm::elements(shape, columns, most_by_columns(Machine::this(), batch));
        let direct = columns
            .map_or_else(|| direct::elements(shape), |columns| column_sparse::elements(shape, columns));
        im2col_gemm.saturating_add(direct)
    }

    /// Overwrites `y` `[F, P, Q, batch]` by the convolution of `x` `[C, H, W, batch]` with `weight`, plus `bias` `[F]`.
    pub fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        match &mut self.direct {
            _ if !is_direct(self.machine, batch) => self.im2col_gemm.forward(batch, x, weight, bias, y),
            Kernels::All(direct) => direct.forward(batch, x, weight, bias, y),
            Kernels::ColumnSparse(direct) => direct.forward(batch, x, weight, bias, y),
        }
    }

    /// Overwrites the gradients of the weight and of the bias, from those of the output, `dy` `[F, P, Q, batch]`.
    pub fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        match &mut self.direct {
            _ if !is_direct(self.machine, batch) => {
                self.im2col_gemm.weight_gradient(batch, x, dy, weight, bias);
            }
            Kernels::All(direct) => direct.weight_gradient(batch, x, dy, weight, bias),
            Kernels::ColumnSparse(direct) => direct.weight_gradient(batch, x, dy, weight, bias),
        }
    }

    /// Overwrites `dx` `[C, H, W, batch]`, the gradient of the input.
    pub fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        match &mut self.direct {
            _ if !is_direct(self.machine, batch) => self.im2col_gemm.data_gradient(batch, weight, dy, dx),
            Kernels::All(direct) => direct.data_gradient(batch, weight, dy, dx),
            Kernels::ColumnSparse(direct) => direct.data_gradient(batch, weight, dy, dx),
        }
    }
}
