//! Checks whether the products of BLAS are correct. With small integers, every product and sum is exact, so
//! they must equal those of the reference.

use ndarray::{Array2, ArrayView2};

use crate::gemm::{Multiply, Reference, Sgemm};

/// Values of `m`, `n`, `k`: full blocks of the kernels and their edges, vectors, and more than one panel along each
/// side.
const SIZES: [[usize; 3]; 6] =
    [[1, 40, 30], [40, 1, 30], [33, 17, 65], [64, 64, 64], [7, 129, 260], [131, 50, 19]];

/// Whether products of several sizes, of plain and transposed matrices, are correct.
pub(super) fn products_are_right() -> bool {
    SIZES.iter().all(|&[m, n, k]| {
        (0..4).all(|transposed| {
            let a = operand(m, k, transposed & 1 == 1, 1);
            let b = operand(k, n, transposed & 2 == 2, 2);
            [0.0, 1.0].into_iter().all(|beta| is_right(a.view(), b.view(), beta))
        })
    })
}

/// A matrix of small integers, `[rows, columns]`, stored by rows or by columns.
fn operand(rows: usize, columns: usize, by_columns: bool, salt: usize) -> Array2<f32> {
    let value = |(i, j): (usize, usize)| ((i * 7 + j * 13 + i * j * salt) % 9) as f32 - 4.0;
    match by_columns {
        false => Array2::from_shape_fn((rows, columns), value),
        true => Array2::from_shape_fn((columns, rows), |(j, i)| value((i, j))).reversed_axes(),
    }
}

/// With `beta` 0 the old content must not be read, so it is NaN.
fn is_right(a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32) -> bool {
    let before = if beta == 0.0 { f32::NAN } else { 3.0 };
    let product = |implementation: &dyn Multiply| {
        let mut c = Array2::from_elem((a.nrows(), b.ncols()), before);
        implementation.multiply(2.0, a, b, beta, &mut c.view_mut());
        c
    };
    product(&Sgemm) == product(&Reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_library_is_right() {
        assert!(products_are_right());
    }
}
