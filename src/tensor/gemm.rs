//! The door to BLAS: general matrix products on views of row-major slices.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// `c = alpha a b + beta c`, with `a` `[m, k]`, `b` `[k, n]`, `c` `[m, n]`; any view may be transposed or cut out of a
/// larger matrix. With `beta` 0 the old content of `c` is not read.
pub fn gemm(alpha: f32, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, mut c: ArrayViewMut2<f32>) {
    general_mat_mul(alpha, &a, &b, beta, &mut c);
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
