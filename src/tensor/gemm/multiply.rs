//! The interface of all implementations of the matrix product.

use ndarray::{ArrayView2, ArrayViewMut2};

#[cfg(test)]
use super::{arithmetic::Arithmetic, own::Blocked};

/// An implementation of the matrix product.
pub trait Multiply: Sync {
    /// Overwrites `c` with `alpha a b + beta c`, with `a` `[m, k]`, `b` `[k, n]` and `c` `[m, n]`. Any view
    /// may be transposed or cut out of a larger matrix; any side may be 0. With `beta` 0 the old content of
    /// `c` is not read.
    fn multiply(
        &self,
        alpha: f32,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        beta: f32,
        c: &mut ArrayViewMut2<f32>,
    );
}

/// All implementations of this machine by name, for the tests.
#[cfg(test)]
pub fn all() -> impl Iterator<Item = (&'static str, &'static dyn Multiply)> {
    let paired: (&str, &dyn Multiply) = ("pairs of bf16", &Blocked(Arithmetic::PairedBf16));
    let tiled: (&str, &dyn Multiply) = ("bf16 tiles", &Blocked(Arithmetic::TiledBf16));
    let everywhere: [(&str, &dyn Multiply); 4] = [
        ("blas", &super::blas::Sgemm),
        ("reference", &super::reference::Reference),
        ("float32", &Blocked(Arithmetic::Float32)),
        ("rounded to bf16", &Blocked(Arithmetic::RoundedBf16)),
    ];
    everywhere
        .into_iter()
        .chain(crate::bf16::has_avx512_bf16().then_some(paired))
        .chain(crate::bf16::has_amx_bf16().then_some(tiled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::reference::Reference;
    use crate::gemm::{matrix, matrix_mut};
    use crate::testing::integers;
    use ndarray::s;
    use proptest::prelude::*;

    proptest! {
        /// Views as the layers use them: transposed on either side, and with rows that are longer than the
        /// product.
        #[test]
        fn every_implementation_equals_the_reference(
            [m, n, k, skip] in [0usize..40, 0usize..40, 0usize..20, 0usize..3],
            transposed in any::<[bool; 3]>(),
            (alpha, beta) in (-2i8..3, 0i8..3),
        ) {
            let (a, b, before) = (integers(m * k, 1), integers(k * n, 2), integers((m + skip) * (n + skip), 3));
            let a = if transposed[0] { matrix(&a, k, m).reversed_axes() } else { matrix(&a, m, k) };
            let b = if transposed[1] { matrix(&b, n, k).reversed_axes() } else { matrix(&b, k, n) };
            let product = |implementation: &dyn Multiply| {
                let mut values = before.clone();
                let mut c = if transposed[2] {
                    matrix_mut(&mut values, n + skip, m + skip).reversed_axes()
                } else {
                    matrix_mut(&mut values, m + skip, n + skip)
                };
                let mut c = c.slice_mut(s![skip.., skip..]);
                if beta == 0 {
                    c.fill(f32::NAN);
                }
                implementation.multiply(f32::from(alpha), a, b, f32::from(beta), &mut c);
                values
            };
            let expected = product(&Reference);
            for (name, implementation) in all() {
                prop_assert_eq!(&product(implementation), &expected, "{}", name);
            }
        }
    }
}
