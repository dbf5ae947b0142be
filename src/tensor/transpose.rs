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
    let (from, to) = (&from[..rows * columns], &mut to[..rows * columns]);
    for_each_row(rows_mut(to, TOGETHER * rows), |index, to| {
        let first = index * TOGETHER;
        vectorise(
            #[inline(always)]
            || {
                for row in (0..rows).step_by(SIDE) {
                    for column in (0..to.len() / rows).step_by(SIDE) {
                        let (height, width) = ((rows - row).min(SIDE), (to.len() / rows - column).min(SIDE));
                        let source = &from[row * columns + first + column..];
                        let target = &mut to[column * rows + row..];
                        match (height, width) {
                            (SIDE, SIDE) => square::<SIDE>(source, columns, target, rows),
                            _ => rest(source, columns, target, rows, height, width),
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
    }
}
