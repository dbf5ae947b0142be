//! The reference mean of a first step, in double precision and by plain loops.

use super::matrices::draw;
use crate::exchange::method::Key;

/// The unit roundoff of f32.
const U: f64 = 1.0 / (1_u64 << 24) as f64;

/// A column that shrinks below this share when the earlier ones are taken out depends on them.
const DEPENDENT: f64 = 1e-6;

/// Whether `mean` is the mean of the gradients of a matrix with these sides on all ranks, projected to `rank` columns,
/// as far as single precision can tell. See [`Method::is_mean`](crate::exchange::method::Method::is_mean).
///
/// With P = M Q for the mean gradient M, the result is the projection of M onto the columns of P. An error of P changes
/// the orthonormal columns by at most sqrt(2) |R^-1| as much to first order, where P = (columns) R (Sun, "Perturbation
/// bounds for the Cholesky and QR factorizations", 1991), and the projection by twice that times |M|. All norms are
/// Frobenius norms; the final tolerance is doubled for what is of second order.
pub fn is_mean(
    mean: &[f32],
    [_, columns]: [usize; 2],
    rank: usize,
    key: &Key,
    gradient: &dyn Fn(usize, &mut Vec<f32>),
) -> bool {
    let (world, r) = (key.world as f64, rank as f64);
    let (mut matrix, mut values, mut norms) = (vec![0.0; mean.len()], Vec::new(), 0.0);
    for other in 0..key.world {
        gradient(other, &mut values);
        matrix.iter_mut().zip(&values).for_each(|(sum, value)| *sum += f64::from(*value) / world);
        norms += norm(values.iter().map(|value| f64::from(*value))) / world;
    }
    let mut drawn = vec![0.0; columns];
    let first = (0..rank).map(|number| {
        draw(key, 0, number, &mut drawn);
        drawn.iter().map(|value| f64::from(*value)).collect()
    });
    let (first, _) = orthonormal(first.collect());
    let product = |q: &Vec<f64>| matrix.chunks_exact(columns).map(|row| inner(row, q)).collect();
    let (left, inverse) = orthonormal(first.iter().map(product).collect());
    let projected = |p: &Vec<f64>| -> Vec<f64> {
        let mut sums = vec![0.0; columns];
        for (row, p) in matrix.chunks_exact(columns).zip(p) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += p * value);
        }
        sums
    };
    let right: Vec<Vec<f64>> = left.iter().map(projected).collect();
    let exact =
        |at: usize| -> f64 { left.iter().zip(&right).map(|(p, q)| p[at / columns] * q[at % columns]).sum() };
    let error = norm(mean.iter().enumerate().map(|(at, value)| f64::from(*value) - exact(at)));
    // Sums over the elements are computed in double precision: what rounds to single precision are the columns of Q, the
    // products of each rank, the sums over the ranks and the mean.
    let of_p = (world + 8.0 * r) * U * r.sqrt() * norms;
    let of_columns = 2.0_f64.sqrt() * inverse * of_p + 4.0 * r * U;
    let of_mean = 2.0 * of_columns * norm(matrix.iter().copied()) + (world + r + 4.0) * U * r.sqrt() * norms;
    error <= 2.0 * of_mean
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// `factor` with orthonormal columns, without those that depend on earlier ones, and the norm of R^-1.
fn orthonormal(factor: Vec<Vec<f64>>) -> (Vec<Vec<f64>>, f64) {
    let (mut columns, mut inverse) = (Vec::<Vec<f64>>::new(), Vec::<Vec<f64>>::new());
    for mut column in factor {
        let before = norm(column.iter().copied());
        let mut shares = vec![0.0; columns.len()];
        for _ in 0..2 {
            for (other, share) in columns.iter().zip(&mut shares) {
                let product = inner(other, &column);
                *share += product;
                column.iter_mut().zip(other).for_each(|(value, other)| *value -= product * other);
            }
        }
        let left = norm(column.iter().copied());
        if left <= DEPENDENT * before {
            continue;
        }
        column.iter_mut().for_each(|value| *value /= left);
        // The next column of R^-1 solves R x = e.
        let place = columns.len();
        let mut solved = vec![0.0; place + 1];
        solved[place] = 1.0 / left;
        for row in 0..place {
            solved[row] = -(row..place).map(|k| inverse[k][row] * shares[k]).sum::<f64>() / left;
        }
        columns.push(column);
        inverse.push(solved);
    }
    let size = norm(inverse.into_iter().flatten());
    (columns, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::method::powersgd::matrices::Matrices;
    use crate::exchange::method::{Averaging, Payload, ReductionPath, Tensor};
    use ternflock_base::rng::Purpose;
    use ternflock_collectives::all_reduce::Coding;
    use ternflock_collectives::topology::Topology;
    use ternflock_collectives::transport::threads::solo;

    const SIDES: [usize; 2] = [20, 30];
    const KEY: Key = Key { seed: 3, step: 0, rank: 0, world: 1 };

    fn gradient(rank: usize, values: &mut Vec<f32>) {
        let stream = KEY.shared_stream(Purpose::Test, rank as u32, 0);
        *values = (0..600).map(|index| stream.word(index) as i32 as f32 / 2.0_f32.powi(31)).collect();
    }

    /// One rank's mean.
    fn mean(rank: usize) -> Vec<f32> {
        let tensor =
            Tensor { number: 0, range: 0..600, shape: SIDES.to_vec(), sparse_rows: false, row_scales: false };
        let (mut payload, mut values) = (Matrices::new(vec![tensor], rank, 0), Vec::new());
        gradient(0, &mut values);
        assert!(payload.prepare(&KEY, &mut values, &mut []));
        payload.encode(&KEY, &[], &values);
        let topology = Topology::single(1);
        let path = ReductionPath {
            algorithm: Averaging::DEFAULT_ALGORITHM,
            coding: Coding::Never,
            topology: &topology,
        };
        let mut alone = solo(std::time::Duration::from_secs(1));
        payload.reduce(&mut alone, &path, &values).unwrap();
        payload.decode(&KEY, &[], &mut values);
        values
    }

    #[test]
    fn a_mean_may_be_rounded_and_no_more() {
        for rank in [1, 2, 4, 7] {
            let mut mean = mean(rank);
            assert!(is_mean(&mean, SIDES, rank, &KEY, &gradient), "{rank}");
            assert!(!is_mean(&mean, SIDES, rank + 1, &KEY, &gradient), "{rank}");
            assert!(!is_mean(&mean, SIDES, rank, &Key { seed: 4, ..KEY }, &gradient), "{rank}");
            mean[77] += 0.1;
            assert!(!is_mean(&mean, SIDES, rank, &KEY, &gradient), "{rank}");
        }
    }

    #[test]
    fn the_norm_of_the_inverse_is_that_of_the_inverse() {
        // R = [[2, 1], [0, 4]], so R^-1 = [[0.5, -0.125], [0, 0.25]].
        let (columns, inverse) =
            orthonormal(vec![vec![2.0, 0.0, 0.0], vec![1.0, 0.0, 4.0], vec![3.0, 0.0, 4.0]]);
        assert_eq!(columns, [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]);
        assert!((inverse - (0.25 + 0.015625 + 0.0625_f64).sqrt()).abs() < 1e-15);
    }
}
