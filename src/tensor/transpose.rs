//! Rows to columns, out of place.

/// A square of this side lies in the first-level cache, read and written.
const TILE: usize = 16;

/// Writes the transpose of `from` `[rows, columns]` to `to` `[columns, rows]`.
///
/// # Panics
/// When a slice is shorter than that.
pub fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    let (from, to) = (&from[..rows * columns], &mut to[..rows * columns]);
    for row in (0..rows).step_by(TILE) {
        for column in (0..columns).step_by(TILE) {
            for j in column..columns.min(column + TILE) {
                let line = &mut to[j * rows..][row..rows.min(row + TILE)];
                let pixels = from[row * columns + j..].iter().step_by(columns);
                line.iter_mut().zip(pixels).for_each(|(to, from)| *to = *from);
            }
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
