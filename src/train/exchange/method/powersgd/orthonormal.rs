//! Orthonormal columns by modified Gram-Schmidt.

use ternflock_tensor::{add_scaled, dot};

/// A column that shrinks to less than this share when the earlier columns are taken out of it was a combination of them,
/// up to rounding.
const DEPENDENT: f64 = 1e-6;

/// Makes the columns of `factor` orthonormal, each of `length` contiguous elements. They span what they spanned before,
/// in the same order. A column that depends on earlier ones, or is zero, is drawn anew by `draw(number, column)`, once;
/// it becomes zero if it still depends on them.
///
/// The projections are computed twice, which makes columns orthogonal to single precision whatever they were (Giraud et
/// al., "The loss of orthogonality in the Gram-Schmidt orthogonalization process", 2005). All sums are in double
/// precision, in an order that depends on `length` alone.
pub fn orthonormalise(factor: &mut [f32], length: usize, mut draw: impl FnMut(usize, &mut [f32])) {
    // A matrix without rows or columns has no elements.
    for number in 0..factor.len().checked_div(length).unwrap_or(0) {
        let (earlier, rest) = factor.split_at_mut(number * length);
        let column = &mut rest[..length];
        if !normalise(earlier, column) {
            draw(number, column);
            if !normalise(earlier, column) {
                column.fill(0.0);
            }
        }
    }
}

/// Takes `earlier` columns out of `column` and scales it to the norm 1. False if nothing is left.
fn normalise(earlier: &[f32], column: &mut [f32]) -> bool {
    let before = dot(column, column);
    for _ in 0..2 {
        for other in earlier.chunks_exact(column.len()) {
            let share = dot(other, column);
            add_scaled(-share as f32, other, column);
        }
    }
    let left = dot(column, column);
    // Also false for values that are not finite.
    let independent = left > DEPENDENT * DEPENDENT * before && left.is_finite();
    if independent {
        let scale = 1.0 / left.sqrt();
        column.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    }
    independent
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wave(count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|index| scale * ((index * index) as f32 * 0.37 + 1.0).sin()).collect()
    }

    fn assert_orthonormal(factor: &[f32], length: usize) {
        let columns: Vec<&[f32]> = factor.chunks_exact(length).collect();
        for (i, a) in columns.iter().enumerate() {
            for (j, b) in columns[..=i].iter().enumerate() {
                let product = dot(a, b);
                assert!((product - f64::from(i == j)).abs() < 1e-6, "{i} {j}: {product}");
            }
        }
    }

    proptest! {
        #[test]
        fn columns_are_orthonormal(rank in 1_usize..6, more in 0_usize..50, exponent in -30_i32..15) {
            let length = rank + more;
            let mut factor = wave(rank * length, 10_f32.powi(exponent));
            orthonormalise(&mut factor, length, |_, column| column.copy_from_slice(&wave(length, 3.0)));
            assert_orthonormal(&factor, length);
        }
    }

    #[test]
    fn the_first_column_keeps_its_direction_and_nearly_parallel_ones_are_made_orthogonal() {
        let first = wave(100, 2.0);
        let mut close = first.clone();
        close[3] += 1e-3;
        let mut factor = [first.clone(), close].concat();
        orthonormalise(&mut factor, 100, |_, _| panic!("they are independent"));
        assert_orthonormal(&factor, 100);
        let norm = dot(&first, &first).sqrt() as f32;
        assert!(factor.iter().zip(&first).all(|(unit, value)| (unit - value / norm).abs() < 1e-6));
    }

    #[test]
    fn dependent_columns_are_drawn_anew_and_then_zero() {
        let first = wave(10, 1.0);
        let mut factor = [first.clone(), first.clone(), vec![0.0; 10], vec![f32::INFINITY; 10]].concat();
        let mut drawn = Vec::new();
        orthonormalise(&mut factor, 10, |number, column| {
            drawn.push(number);
            column.fill(0.0);
            // The last one depends on the first column again.
            if number < 3 { column[number] = 2.0 } else { column.copy_from_slice(&first) }
        });
        assert_eq!(drawn, [1, 2, 3]);
        assert_orthonormal(&factor[..30], 10);
        assert_eq!(factor[30..], [0.0; 10]);
    }
}
