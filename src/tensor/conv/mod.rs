//! Two-dimensional convolution (cross-correlation, as in Caffe and PyTorch), forward and both gradients.
//!
//! Letters: F filters, C channels, N samples, R S kernel, P Q output; images `[C, H, W, N]`, weights `[F, C / groups, R,
//! S]`.
//!
//! Three algorithms compute it:
//!
//! - [`direct`]: kernels of our own. They vectorise over samples, so every kernel size and channel count runs at the speed of
//!   a large matrix product.
//! - [`column_sparse`]: the same for a weight matrix `[F, C / groups R S]` with only some of its columns,
//!   using lists of columns.
//! - [`im2col_gemm`]: matrix products on im2col tiles, which vectorises over channels and positions as well, with all columns or some.
//!
//! [`algorithm`] chooses: our own kernels for a batch of at least half a vector, and im2col for a smaller
//! batch or on a machine without vectors (docs/adr/0011).
//!
//! In bf16 ([`super::bf16`]), operands are rounded first. [`direct`] has bf16 kernels that use vectors
//! ([`vector_products`]), or tiles on machines with AMX (`tile_products`). For the other algorithms, [`rounded`] rounds
//! copies of the operands. Biases and their gradients are not products and are not rounded.
//!
//! [`direct`] adds in these orders:
//!
//! - y starts at the bias and adds the taps of the window row by row, and for each tap all channels.
//! - dx starts at 0 and adds the positions of dy that see the pixel row by row, and for each position all filters.
//! - The gradient of the weights is a sum over work items, in each of which every lane of a vector adds some of the
//!   samples: `weight_gradient::vectors`. Its order therefore depends on the number of lanes, with every precision.
//!   AMX tiles add in their own order: `weight_gradient::tiles`.
//!
//! Vectors add one product after another. This gives the result of float32 arithmetic on rounded operands. Tiles add
//! several products at a time, so their results differ in the last bits:
//!
//! - For y, a row consists of all taps of a window row, with the channels of each tap in pairs. For dx, a row consists
//!   of all positions that would see the pixel if dy continued past its borders, with the filters of each position in
//!   pairs. Values in the padding are zero. If the number of channels or filters is odd, the last one is paired with
//!   zero. Rows outside the image are skipped.
//! - A row of L pairs is cut into n = ceil(L / 16) steps of k = ceil(L / n) pairs. Step i begins at pair
//!   min(i k, L - k). Pairs that belong to two steps have a weight of zero in the later step.
//! - Each step adds its products to the sum as [`super::bf16::add_products`] does.

mod algorithm;
mod arithmetic;
mod avx512_bf16;
mod column_sparse;
mod correlation;
mod direct;
mod im2col_gemm;
mod kernel;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
mod operands;
mod pack;
mod pack_images;
mod pack_pairs;
mod pack_weights;
mod partial_sums;
mod pass;
mod rounded;
#[cfg(target_arch = "x86_64")]
mod tile_products;
mod vector_products;
mod weight_gradient;

#[cfg(test)]
mod tests;

use super::Window;
use super::bf16::Precision;
use super::blocks::Machine;
use super::buffers::Buffers;

use algorithm::{ALGORITHMS, Algorithm, Convolve, Problem, choose};
use pass::Pass;

/// The shape of a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// The window over all channels.
    pub window: Window,
    /// The number of filters in all groups together.
    pub filters: usize,
    /// The number of groups. Filters and channels are divided into groups, and a filter reads only the
    /// channels of its own group.
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

/// A convolution with its buffers: a pass allocates nothing.
pub struct Convolution {
    /// The algorithms, the preferred first, each with the smallest batch that it computes.
    algorithms: Vec<(usize, Box<dyn Convolve>)>,
}

impl Convolution {
    /// Of `shape`, whose groups divide its filters and channels, for batches of at most `batch` samples and for as many
    /// threads as there are now. With `columns`, each group's weight has only these as a matrix
    /// `[F / groups, C / groups R S]`, ascending and at least one: all weights and their gradients are `[F, columns]`.
    /// The images, the weights and the gradient of the output are operands of products with this `precision`.
    ///
    /// # Errors
    /// Those of [`Buffers::zeros`].
    pub fn new(
        shape: Shape,
        columns: Option<&[usize]>,
        batch: usize,
        precision: Precision,
        buffers: &mut Buffers,
    ) -> Result<Convolution, String> {
        Self::by(&ALGORITHMS, Machine::this(), Problem { shape, columns, batch, precision }, buffers)
    }

    fn by(
        algorithms: &[Algorithm],
        machine: Machine,
        problem: Problem,
        buffers: &mut Buffers,
    ) -> Result<Convolution, String> {
        let chosen = choose(algorithms, machine, problem);
        let built = chosen.map(|(least, by, problem)| Ok((least, (by.build)(&problem, buffers)?)));
        Ok(Convolution { algorithms: built.collect::<Result<_, String>>()? })
    }

    /// What computes a batch of `batch` samples.
    fn algorithm(&mut self, batch: usize) -> &mut dyn Convolve {
        let takes = |(least, _): &&mut (usize, Box<dyn Convolve>)| *least <= batch;
        let (_, algorithm) =
            self.algorithms.iter_mut().find(takes).expect("the last algorithm takes any batch");
        &mut **algorithm
    }

    /// Overwrites `y` `[F, P, Q, batch]` with the convolution of `x` `[C, H, W, batch]` with `weight`, plus
    /// `bias` `[F]`.
    pub fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        self.algorithm(batch).forward(batch, x, weight, bias, y);
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
        self.algorithm(batch).weight_gradient(batch, x, dy, weight, bias);
    }

    /// Overwrites `dx` `[C, H, W, batch]`, the gradient of the input.
    pub fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        self.algorithm(batch).data_gradient(batch, weight, dy, dx);
    }
}
