//! Slices as row-major matrices.

use ndarray::{ArrayView2, ArrayViewMut2};

/// The first `rows * columns` elements of `values` as a row-major matrix.
///
/// # Panics
/// If `values` is shorter.
pub fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), &values[..rows * columns]).expect("the slice is cut to the shape")
}

/// The mutable version of [`matrix`].
///
/// # Panics
/// If `values` is shorter.
pub fn matrix_mut(values: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), &mut values[..rows * columns])
        .expect("the slice is cut to the shape")
}
