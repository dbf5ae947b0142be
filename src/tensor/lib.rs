//! Dense arithmetic on slices of `f32`: the only crate that calls BLAS, starts compute threads, and chooses
//! vector instructions.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

// Links OpenBLAS; no other code refers to this crate.
use blas_src as _;

pub mod bf16;
mod blas;
mod blocks;
mod buffers;
mod conv;
mod csr;
mod elementary;
mod gemm;
mod im2col;
mod isa;
mod normal;
mod products;
mod scratch;
mod simd;
mod stream;
#[cfg(test)]
mod testing;
mod threads;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod transpose;
#[cfg(target_arch = "x86_64")]
mod transpose_avx512;

pub use bf16::Precision;
pub use blas::{Blas, Chosen, Trouble, blas, blas_default_threads, check_blas_room};
pub use buffers::{Buffers, elements};
pub use conv::{Convolution, Shape as ConvolutionShape};
pub use csr::{Csr, SparseConvolution, SparseLinear};
pub use elementary::{exp, sigmoid, tanh};
pub use gemm::{Gemm, Panels, blas_computes, gemm, matrix, matrix_mut};
pub use im2col::{Window, col2im_add, im2col};
pub use isa::{Isa, set_isa};
pub use normal::normal;
pub use simd::{add_scaled, all_finite, dot, sum, vector_instructions, vectorise};
pub use stream::{BLOCK, has_bits, prefetch_after, prefetch_row_after};
pub use threads::{Rows, for_each, for_each_row, rows, rows_mut, set_threads, thread, threads, within};
pub use transpose::{transpose, transpose_part};
