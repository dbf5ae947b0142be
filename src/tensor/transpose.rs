//! Transposes a matrix out of place.

use super::simd::vectorise;
use super::threads::{for_each_row, rows_mut};

/// A square with this side is transposed in registers.
const SIDE: usize = 8;

/// Rows of the result that are written together: a cache line of each row of `from`.
const TOGETHER: usize = 16;

/// Writes the transpose of `from` `[rows, columns]` to `to` `[columns, rows]`.
///
/// # Panics
/// If a slice is shorter than that.
pub fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    transpose_part((&from[..rows * columns], columns), rows, columns, (&mut to[..rows * columns], rows));
}

/// Writes the transpose of a matrix `[rows, columns]` that is part of a wider one to a part of another. Each slice
/// comes with the distance between its rows, and begins at the first element of its part. The elements of `to`
/// between the rows of its part do not change.
///
/// # Panics
/// If a slice is shorter than its part, or if rows overlap.
pub fn transpose_part(
    (from, from_step): (&[f32], usize),
    rows: usize,
    columns: usize,
    (to, to_step): (&mut [f32], usize),
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(from_step >= columns && to_step >= rows, "rows of {from_step} and {to_step} elements overlap");
    let (from, to) = (&from[..(rows - 1) * from_step + columns], &mut to[..(columns - 1) * to_step + rows]);
    for_each_row(rows_mut(to, TOGETHER * to_step), |index, to| {
        let first = index * TOGETHER;
        let together = to.len().div_ceil(to_step);
        vectorise(
            #[inline(always)]
            || {
                for row in (0..rows).step_by(SIDE) {
                    for column in (0..together).step_by(SIDE) {
                        let (height, width) = ((rows - row).min(SIDE), (together - column).min(SIDE));
                        let source = &from[row * from_step + first + column..];
                        let target = &mut to[column * to_step + row..];
                        match (height, width) {
                            (SIDE, SIDE) => square::<SIDE>(source, from_step, target, to_step),
                            _ => rest(source, from_step, target, to_step, height, width),
                        }
                    }
                }
            },
        );
    });
}

#[inline(always)]
fn square<const S: usize>(from: &[f32], from_step: usize, to: &mut [f32], to_step: usize) {
    let mut block = [[0.0; S]; S];
    for (i, row) in block.iter_mut().enumerate() {
        row.copy_from_slice(&from[i * from_step..][..S]);
    }
    for j in 0..S {
        let column: [f32; S] = std::array::from_fn(|i| block[i][j]);
        to[j * to_step..][..S].copy_from_slice(&column);
    }
}

#[inline(always)]
fn rest(from: &[f32], from_step: usize, to: &mut [f32], to_step: usize, height: usize, width: usize) {
    for i in 0..height {
        for j in 0..width {
            to[j * to_step + i] = from[i * from_step + j];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_definition(rows in 0usize..50, columns in 0usize..50) {
            let from: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let mut to = vec![f32::NAN; rows * columns];
            transpose(&from, rows, columns, &mut to);
            for i in 0..rows {
                for j in 0..columns {
                    prop_assert_eq!(to[j * rows + i], from[i * columns + j]);
                }
            }
        }

        #[test]
        fn a_part_is_transposed_and_nothing_else_changes(
            rows in 0usize..40, columns in 0usize..40, wider in 0usize..20, longer in 0usize..20
        ) {
            let (from_step, to_step) = (columns + wider, rows + longer);
            let from: Vec<f32> = (0..rows * from_step).map(|i| i as f32).collect();
            let mut to = vec![-1.0; columns * to_step];
            transpose_part((&from, from_step), rows, columns, (&mut to, to_step));
            for (at, &value) in to.iter().enumerate() {
                let (j, i) = (at / to_step, at % to_step);
                prop_assert_eq!(value, if i < rows { from[i * from_step + j] } else { -1.0 });
            }
        }
    }
}
