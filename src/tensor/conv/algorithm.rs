//! The algorithms that compute convolutions, and the only place that chooses between them.
//!
//! Each algorithm is one file with a type that implements [`Convolve`], its [`Algorithm`], and an entry in
//! [`ALGORITHMS`].

use super::{Shape, column_sparse, direct, im2col_gemm};

use crate::bf16::Precision;
use crate::blocks::Machine;
use crate::buffers::Buffers;

/// A convolution with the operations that a layer needs. F filters, C channels, N samples; images `[C, H, W,
/// N]`, outputs `[F, P, Q, N]`; the weight is `[F, C / groups, R, S]`, or `[F, K]` if each group has only K
/// of its columns as a matrix.
pub trait Convolve: Send {
    /// Overwrites `y` with the convolution of `x` with `weight`, plus `bias` `[F]`.
    fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]);

    /// Overwrites the gradients of the weight and of the bias, from the gradient of the output, `dy`.
    fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    );

    /// Overwrites `dx`, the gradient of the input.
    fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]);
}

/// A convolution to compute.
#[derive(Clone, Copy)]
pub struct Problem<'a> {
    /// The shape of the images, the weight and the output.
    pub shape: Shape,
    /// The columns that the weight matrix `[F / groups, C / groups R S]` of each group has, ascending; `None`
    /// for all.
    pub columns: Option<&'a [usize]>,
    /// The maximum number of samples per batch.
    pub batch: usize,
    /// The number format of the operands of products.
    pub precision: Precision,
}

/// Makes a convolution with its buffers; an error is one of [`Buffers::zeros`].
pub type Build = fn(&Problem, &mut Buffers) -> Result<Box<dyn Convolve>, String>;

/// A way to compute convolutions.
pub struct Algorithm {
    /// The smallest batch that it should compute; `None` if it cannot compute the convolution, or should not
    /// on this machine. It is at most one vector of samples: an algorithm must not decline larger batches.
    pub least_batch: fn(Machine, &Problem) -> Option<usize>,
    /// The convolution with its buffers, for as many threads as there are now.
    pub build: Build,
}

/// All algorithms, the preferred first. A batch is computed by the first one whose smallest batch it reaches.
/// The last one takes any batch.
pub const ALGORITHMS: [Algorithm; 3] = [column_sparse::ALGORITHM, direct::ALGORITHM, im2col_gemm::ALGORITHM];

/// The algorithms that batches of up to `problem.batch` samples need, the preferred first: each with its
/// smallest batch, and with the problem for which it needs buffers.
pub fn choose<'a>(
    algorithms: &'a [Algorithm],
    machine: Machine,
    problem: Problem<'a>,
) -> impl Iterator<Item = (usize, &'a Algorithm, Problem<'a>)> {
    let mut batch = problem.batch;
    algorithms.iter().filter_map(move |algorithm| {
        let least = (algorithm.least_batch)(machine, &problem).filter(|&least| least <= problem.batch)?;
        let own = Problem { batch, ..problem };
        // Independently of the smallest batch, later algorithms have buffers for one vector of samples, so
        // that the tiles of im2col, and with them the order of its sums, do not depend on it.
        batch = batch.min(machine.lanes);
        Some((least, algorithm, own))
    })
}

/// The smallest number of lanes of vector instructions.
const FEWEST_LANES: usize = 4;

/// The smallest batch for kernels with vectors of samples: half a vector. `None` on a machine without vector
/// instructions, where they would process one value at a time.
pub fn half_a_vector(machine: Machine) -> Option<usize> {
    (machine.lanes >= FEWEST_LANES).then(|| machine.lanes.div_ceil(2))
}
