//! The products of this program's own kernels.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::arithmetic::Arithmetic;
use super::blas::Sgemm;
use super::blocked;
use super::multiply::Multiply;
use super::share::over_threads;
use super::workspace::{Workspace, with_any};
use crate::bf16::Precision;
use crate::buffers::Buffers;
use crate::isa::Isa;

/// Whether products are those of BLAS: in float32, where [`blas_computes`].
pub(super) fn uses_blas(precision: Precision) -> bool {
    precision == Precision::Float32 && blas_computes()
}

/// Whether BLAS computes float32 products in this process: if not, neither its version nor its kernels matter. It
/// does so unless AVX-512 is in use: with narrower vectors, BLAS is faster (docs/adr/0033). The choice depends on
/// nothing else, because it decides the last bits of every product.
pub fn blas_computes() -> bool {
    !Isa::in_use().has_avx512()
}

/// The blocked product, with buffers that are kept for later calls.
pub struct Blocked(pub Arithmetic);

impl Multiply for Blocked {
    fn multiply(
        &self,
        alpha: f32,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        beta: f32,
        c: &mut ArrayViewMut2<f32>,
    ) {
        with_any(|workspace| blocked::multiply(self.0, workspace, alpha, a, b, beta, c.view_mut()));
    }
}

/// Matrix products in one precision, with buffers of their own: nothing is allocated after the construction.
///
/// ```
/// use ternflock_tensor::{Buffers, Gemm, Precision, matrix, matrix_mut};
///
/// let (m, n, k) = (1, 1, 2);
/// let mut gemm = Gemm::new(Precision::Bf16, &[[m, n, k]], &mut Buffers::allocating())?;
/// let (a, b, mut c) = ([1.0, 2.0], [3.0, 4.0], [0.0]);
/// gemm.multiply(1.0, matrix(&a, m, k), matrix(&b, n, k).t(), 0.0, matrix_mut(&mut c, m, n));
/// assert_eq!(c, [11.0]);
/// # Ok::<(), String>(())
/// ```
pub struct Gemm {
    precision: Precision,
    workspace: Workspace,
}

impl Gemm {
    /// For products of the sizes `[m, n, k]`, one at a time, on as many threads as there are now. Larger
    /// products and more threads work too, but allocate.
    ///
    /// # Errors
    /// Those of [`Buffers::zeros`].
    pub fn new(precision: Precision, sizes: &[[usize; 3]], buffers: &mut Buffers) -> Result<Gemm, String> {
        let sizes = if uses_blas(precision) { &[] } else { sizes };
        Ok(Gemm { precision, workspace: Workspace::new(Arithmetic::of(precision), sizes, buffers)? })
    }

    /// Overwrites `c` `[m, n]` with `alpha a b + beta c`, as [`gemm`](super::gemm) does, in this precision.
    ///
    /// # Panics
    /// If the sizes do not match.
    pub fn multiply(
        &mut self,
        alpha: f32,
        a: ArrayView2<'_, f32>,
        b: ArrayView2<'_, f32>,
        beta: f32,
        c: ArrayViewMut2<'_, f32>,
    ) {
        if uses_blas(self.precision) {
            return over_threads(&Sgemm, alpha, a, b, beta, c);
        }
        let arithmetic = Arithmetic::of(self.precision);
        blocked::multiply(arithmetic, &self.workspace, alpha, a, b, beta, c);
    }

    /// The lengths of the buffers.
    #[cfg(test)]
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.workspace.lengths()
    }
}
