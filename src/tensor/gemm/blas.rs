//! Products with the BLAS that the program is linked with.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::multiply::Multiply;

/// The BLAS function `sgemm`, on one thread ([`crate::blas`]). ndarray passes views that BLAS can read, including transposed
/// ones, without copying them.
pub struct Sgemm;

impl Multiply for Sgemm {
    fn multiply(
        &self,
        alpha: f32,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        beta: f32,
        c: &mut ArrayViewMut2<f32>,
    ) {
        general_mat_mul(alpha, &a, &b, beta, c);
    }
}
