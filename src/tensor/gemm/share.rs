//! Splits a large product over the thread pool.

use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use rayon::join;

use super::multiply::Multiply;
use crate::threads::{threads, within};

/// A product with fewer multiply-adds is not worth a second thread.
const WORTH_SHARING: usize = 1 << 20;

/// The parts of a product begin at multiples of this, the widest block of OpenBLAS's kernels.
const BLOCK: usize = 16;

/// `c = alpha a b + beta c` with `implementation`, on all threads if the product is large enough. It is split
/// along the longer side of `c`, never along k.
pub fn over_threads(
    implementation: &dyn Multiply,
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    mut c: ArrayViewMut2<f32>,
) {
    let ((m, n), k) = (c.dim(), a.ncols());
    let threads = threads();
    if threads == 1 || m.saturating_mul(n).saturating_mul(k) < WORTH_SHARING {
        return implementation.multiply(alpha, a, b, beta, &mut c);
    }
    let part = m.max(n).div_ceil(threads).next_multiple_of(BLOCK);
    within(|| in_parts(part, implementation, alpha, a, b, beta, c));
}

/// The product in parts of at most `part` rows or columns, each on the next free thread.
fn in_parts(
    part: usize,
    implementation: &dyn Multiply,
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    mut c: ArrayViewMut2<f32>,
) {
    let (m, n) = c.dim();
    if m.max(n) <= part {
        return implementation.multiply(alpha, a, b, beta, &mut c);
    }
    let half = m.max(n).div_ceil(part).div_ceil(2) * part;
    let axis = Axis(usize::from(n > m));
    let (first, second) = c.split_at(axis, half);
    let multiply = |a, b, c| in_parts(part, implementation, alpha, a, b, beta, c);
    if n > m {
        let (left, right) = b.split_at(axis, half);
        join(|| multiply(a, left, first), || multiply(a, right, second));
    } else {
        let (upper, lower) = a.split_at(axis, half);
        join(|| multiply(upper, b, first), || multiply(lower, b, second));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::multiply::all;
    use crate::gemm::{matrix, matrix_mut};
    use crate::testing::integers;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_make_up_the_product(m in 1usize..70, n in 1usize..70, k in 1usize..9, part in 1usize..40) {
            let (a, b) = (integers(m * k, 1), integers(k * n, 2));
            let (a, b) = (matrix(&a, m, k), matrix(&b, k, n));
            for (name, implementation) in all() {
                let (mut whole, mut parts) = (integers(m * n, 3), integers(m * n, 3));
                implementation.multiply(2.0, a, b, 1.0, &mut matrix_mut(&mut whole, m, n));
                in_parts(part, implementation, 2.0, a, b, 1.0, matrix_mut(&mut parts, m, n));
                prop_assert_eq!(whole, parts, "{}", name);
            }
        }
    }
}
