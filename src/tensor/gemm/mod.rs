//! General matrix products on views of row-major slices.
//!
//! - `own`: this program's products, and [`Gemm`], which has buffers of its own
//! - `blocked`, `block`: blocks and threads of these products, and the tiles of a block
//! - `arithmetic`: float32 or bf16, and which micro-kernel computes it
//! - `lines`, `format`: operands as lines in panels, and the words of panels
//! - `pack`, `pack_portable`, `pack_avx512`: operands in the order in which micro-kernels read them
//! - `tile`, `kernel`, `kernel_bf16`, `kernel_amx`: the sums that stay in registers
//! - `strip`: rows of `c` that are written with non-temporal stores, which bypass the caches
//! - `workspace`: buffers for packed operands and strips
//! - `panels`: products of a few rows with a matrix that is packed once
//! - `blas`, `share`: BLAS, and its products split over threads, for machines without vectors
//! - `multiply`: the interface of all implementations, and their list
//! - `reference`: a plain triple loop, with which the others are compared, BLAS also when the program starts
//! - `view`: slices as matrices
//!
//! A new micro-kernel is a file here and an entry in [`arithmetic::Arithmetic`]; a new implementation is an
//! entry in `multiply::all`, which makes the tests cover it.

mod arithmetic;
mod blas;
mod block;
mod blocked;
mod format;
mod kernel;
#[cfg(target_arch = "x86_64")]
mod kernel_amx;
#[cfg(target_arch = "x86_64")]
mod kernel_bf16;
mod lines;
mod multiply;
mod own;
mod pack;
#[cfg(target_arch = "x86_64")]
mod pack_avx512;
mod pack_portable;
mod panels;
#[cfg(any(test, all(target_os = "linux", target_env = "gnu")))]
mod reference;
mod share;
mod strip;
#[cfg(test)]
mod tests;
mod tile;
mod view;
mod workspace;

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::bf16::Precision;
use arithmetic::Arithmetic;
pub(crate) use blas::Sgemm;
pub(crate) use multiply::Multiply;
use own::{Blocked, uses_blas};
pub use own::{Gemm, blas_computes};
pub use panels::Panels;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) use reference::Reference;
pub use view::{matrix, matrix_mut};

/// Overwrites `c` with `alpha a b + beta c` in float32, with `a` `[m, k]`, `b` `[k, n]` and `c` `[m, n]`. Any
/// view may be transposed or cut out of a larger matrix. With `beta` 0 the old content of `c` is not read.
///
/// Each sum begins with `beta c` (0 if `beta` is 0) and adds the products `(alpha a) b` in the order of k, each
/// with one rounding ([`f32::mul_add`]). So the result depends neither on the number of threads nor on the
/// machine, as long as it has AVX-512. Other machines use BLAS, whose last bits depend on both.
///
/// Buffers are kept for later calls and not counted; [`Gemm`] has its own.
///
/// ```
/// use ternflock_tensor::{gemm, matrix, matrix_mut};
///
/// let (a, b, mut c) = ([1.0, 2.0], [3.0, 4.0], [0.0]);
/// gemm(1.0, matrix(&a, 1, 2), matrix(&b, 1, 2).t(), 0.0, matrix_mut(&mut c, 1, 1));
/// assert_eq!(c, [11.0]);
/// ```
pub fn gemm(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, mut c: ArrayViewMut2<f32>) {
    if uses_blas(Precision::Float32) {
        share::over_threads(&Sgemm, alpha, a, b, beta, c);
    } else {
        Blocked(Arithmetic::Float32).multiply(alpha, a, b, beta, &mut c);
    }
}
