//! The door to BLAS: general matrix products on views of row-major slices. BLAS works on one thread; large products are
//! split over the pool here.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use rayon::join;

use super::threads::{threads, within};

/// A product of fewer multiply-adds is not worth a second thread.
pub(super) const WORTH_SHARING: usize = 1 << 20;

/// Parts of a product begin at multiples of this, the widest block that BLAS's kernels work in.
const BLOCK: usize = 16;

/// `c = alpha a b + beta c`, with `a` `[m, k]`, `b` `[k, n]`, `c` `[m, n]`; any view may be transposed or cut out of a
/// larger matrix. With `beta` 0 the old content of `c` is not read.
///
/// A large product is cut along the longer side of `c`, a part a thread; never along k. BLAS sums in another order at the
/// edges of what it is given, so the last bits still depend on the number of threads.
pub fn gemm(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, mut c: ArrayViewMut2<f32>) {
    let ((m, n), k) = (c.dim(), a.ncols());
    let threads = threads();
    if threads == 1 || m.saturating_mul(n).saturating_mul(k) < WORTH_SHARING {
        return general_mat_mul(alpha, &a, &b, beta, &mut c);
    }
    let part = m.max(n).div_ceil(threads).next_multiple_of(BLOCK);
    within(|| share(part, alpha, a, b, beta, c));
}

/// [`gemm`] in parts of at most `part` rows or columns.
fn share(
    part: usize,
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    mut c: ArrayViewMut2<f32>,
) {
    let (m, n) = c.dim();
    if m.max(n) <= part {
        return general_mat_mul(alpha, &a, &b, beta, &mut c);
    }
    let half = m.max(n).div_ceil(part).div_ceil(2) * part;
    let axis = Axis(usize::from(n > m));
    let (first, second) = c.split_at(axis, half);
    if n > m {
        let (left, right) = b.split_at(axis, half);
        join(|| share(part, alpha, a, left, beta, first), || share(part, alpha, a, right, beta, second));
    } else {
        let (upper, lower) = a.split_at(axis, half);
        join(|| share(part, alpha, upper, b, beta, first), || share(part, alpha, lower, b, beta, second));
    }
}

/// The first `rows * columns` elements of `values` as a row-major matrix.
pub fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), &values[..rows * columns]).expect("the slice is cut to the shape")
}

/// The first `rows * columns` elements of `values` as a row-major matrix to write.
pub fn matrix_mut(values: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), &mut values[..rows * columns])
        .expect("the slice is cut to the shape")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;
    use proptest::prelude::*;

    /// Small integers: products and sums are exact in f32, so the comparison is too.
    fn integers(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7 + salt * 13) % 9) as f32 - 4.0).collect()
    }

    proptest! {
        #[test]
        fn parts_make_the_whole(m in 1usize..70, n in 1usize..70, k in 1usize..9, part in 1usize..40) {
            let (a, b) = (integers(m * k, 1), integers(k * n, 2));
            let (a, b) = (matrix(&a, m, k), matrix(&b, k, n));
            let (mut whole, mut parts) = (integers(m * n, 3), integers(m * n, 3));
            general_mat_mul(2.0, &a, &b, 1.0, &mut matrix_mut(&mut whole, m, n));
            share(part, 2.0, a, b, 1.0, matrix_mut(&mut parts, m, n));
            prop_assert_eq!(whole, parts);
        }

        #[test]
        fn equals_the_triple_loop(m in 1usize..20, n in 1usize..20, k in 1usize..20, skip in 0usize..3) {
            let (a, b) = (integers(m * k, 1), integers(n * k, 2));
            let wide = n + skip;
            let mut c = vec![f32::NAN; m * wide];
            gemm(2.0, matrix(&a, m, k), matrix(&b, n, k).t(), 0.0,
                 matrix_mut(&mut c, m, wide).slice_mut(s![.., skip..]));
            for i in 0..m {
                for j in 0..n {
                    let sum: f32 = (0..k).map(|l| a[i * k + l] * b[j * k + l]).sum();
                    prop_assert_eq!(c[i * wide + skip + j], 2.0 * sum);
                }
            }
        }
    }
}
