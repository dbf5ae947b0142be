//! The definition of a product, sum by sum.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::multiply::Multiply;

/// A triple loop that sums in the order of k.
pub struct Reference;

impl Multiply for Reference {
    fn multiply(
        &self,
        alpha: f32,
        a: ArrayView2<f32>,
        b: ArrayView2<f32>,
        beta: f32,
        c: &mut ArrayViewMut2<f32>,
    ) {
        for ((i, j), c) in c.indexed_iter_mut() {
            let sum: f32 = a.row(i).iter().zip(b.column(j)).map(|(a, b)| a * b).sum();
            *c = if beta == 0.0 { alpha * sum } else { alpha * sum + beta * *c };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::{matrix, matrix_mut};

    #[test]
    fn a_product_by_hand() {
        let (a, b, mut c) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0], [100.0, f32::NAN]);
        let (a, b) = (matrix(&a, 2, 2), matrix(&b, 2, 1));
        Reference.multiply(2.0, a, b, 0.0, &mut matrix_mut(&mut c, 2, 1));
        assert_eq!(c, [34.0, 78.0]);
        Reference.multiply(2.0, a, b, 10.0, &mut matrix_mut(&mut c, 2, 1));
        assert_eq!(c, [374.0, 858.0]);
    }
}
