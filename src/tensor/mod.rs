//! Dense arithmetic on slices of `f32`: the only place that calls BLAS.

mod blas;
mod gemm;
mod im2col;
mod transpose;

pub use blas::{blas_threads, set_blas_threads};
pub use gemm::{gemm, matrix, matrix_mut};
pub use im2col::{Window, col2im_add, im2col};
pub use transpose::transpose;
