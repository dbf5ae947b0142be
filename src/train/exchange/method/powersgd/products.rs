//! The three products of a step. Each reads a matrix once, row by row, with all columns of a factor at a time.
//!
//! General products pack both operands, which takes longer than these products. Sums are those of
//! [`ternflock_tensor::dot`] or in double precision, in an order that depends on the sizes alone, so the bits depend
//! neither on the number of threads nor on a BLAS.

use ternflock_tensor::{dot, vectorise};

/// Rows that [`left`] adds at a time.
const ROWS: usize = 4;

/// P = M Q: `p` is `[r, rows]`, `matrix` `[rows, columns]` and `q` `[r, columns]`, so factors lie column by column.
pub fn right(matrix: &[f32], q: &[f32], columns: usize, p: &mut [f32]) {
    let rows = matrix.len() / columns;
    for (index, row) in matrix.chunks_exact(columns).enumerate() {
        for (p, q) in p.chunks_exact_mut(rows).zip(q.chunks_exact(columns)) {
            p[index] = dot(row, q) as f32;
        }
    }
}

/// Q = M' P, with the sizes of [`right`]. `sums` has at least the length of `q`.
pub fn left(matrix: &[f32], p: &[f32], columns: usize, sums: &mut [f64], q: &mut [f32]) {
    let rows = matrix.len() / columns;
    let sums = &mut sums[..q.len()];
    sums.fill(0.0);
    for (block, values) in matrix.chunks(ROWS * columns).enumerate() {
        for (p, sums) in p.chunks_exact(rows).zip(sums.chunks_exact_mut(columns)) {
            add_rows(values, &p[block * ROWS..], sums);
        }
    }
    q.iter_mut().zip(sums).for_each(|(q, sum)| *q = *sum as f32);
}

/// `sums += p[0] row 0 + p[1] row 1 + ...` for the rows of `values`, at most [`ROWS`].
fn add_rows(values: &[f32], p: &[f32], sums: &mut [f64]) {
    let columns = sums.len();
    if values.len() < ROWS * columns {
        for (row, p) in values.chunks_exact(columns).zip(p) {
            vectorise(
                #[inline(always)]
                || {
                    sums.iter_mut()
                        .zip(row)
                        .for_each(|(sum, value)| *sum += f64::from(*p) * f64::from(*value))
                },
            );
        }
        return;
    }
    let [a, b, c, d]: [&[f32]; ROWS] = std::array::from_fn(|row| &values[row * columns..][..columns]);
    let p: [f64; ROWS] = std::array::from_fn(|row| f64::from(p[row]));
    vectorise(
        #[inline(always)]
        || {
            for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                let first = p[0] * f64::from(*a) + p[1] * f64::from(*b);
                *sum += first + (p[2] * f64::from(*c) + p[3] * f64::from(*d));
            }
        },
    );
}

/// Replaces `matrix` by P Q', with the sizes of [`right`], and sets `residual` to the difference.
pub fn decode(p: &[f32], q: &[f32], columns: usize, matrix: &mut [f32], residual: &mut [f32]) {
    let rows = matrix.len() / columns;
    let lines = matrix.chunks_exact_mut(columns).zip(residual.chunks_exact_mut(columns));
    for (index, (row, residual)) in lines.enumerate() {
        residual.copy_from_slice(row);
        for (column, q) in q.chunks_exact(columns).enumerate() {
            let p = p[column * rows + index];
            vectorise(
                #[inline(always)]
                || match column {
                    0 => row.iter_mut().zip(q).for_each(|(value, q)| *value = p * q),
                    _ => row.iter_mut().zip(q).for_each(|(value, q)| *value += p * q),
                },
            );
        }
        vectorise(
            #[inline(always)]
            || residual.iter_mut().zip(&*row).for_each(|(left, sent)| *left -= sent),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn integers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 7 + seed * 5) % 11) as f32 - 5.0).collect()
    }

    proptest! {
        /// Small integers are exact in any order.
        #[test]
        fn products_are_those_of_plain_loops(rows in 1_usize..20, columns in 1_usize..40, rank in 1_usize..5) {
            let (matrix, q) = (integers(rows * columns, 1), integers(rank * columns, 2));
            let mut p = vec![0.0; rank * rows];
            right(&matrix, &q, columns, &mut p);
            for (at, value) in p.iter().enumerate() {
                let (k, i) = (at / rows, at % rows);
                let plain: f32 = (0..columns).map(|j| matrix[i * columns + j] * q[k * columns + j]).sum();
                prop_assert_eq!(*value, plain);
            }
            let p = integers(rank * rows, 3);
            let (mut back, mut sums) = (vec![f32::NAN; rank * columns], vec![f64::NAN; rank * columns + 3]);
            left(&matrix, &p, columns, &mut sums, &mut back);
            for (at, value) in back.iter().enumerate() {
                let (k, j) = (at / columns, at % columns);
                let plain: f32 = (0..rows).map(|i| matrix[i * columns + j] * p[k * rows + i]).sum();
                prop_assert_eq!(*value, plain);
            }
            let (mut decoded, mut residual) = (matrix.clone(), vec![f32::NAN; rows * columns]);
            decode(&p, &q, columns, &mut decoded, &mut residual);
            for at in 0..rows * columns {
                let (i, j) = (at / columns, at % columns);
                let plain: f32 = (0..rank).map(|k| p[k * rows + i] * q[k * columns + j]).sum();
                prop_assert_eq!(decoded[at], plain);
                prop_assert_eq!(residual[at], matrix[at] - plain);
            }
        }
    }
}
