//! Matrices with a known spectrum, the theoretical error, and edge cases.

use super::*;
use proptest::prelude::*;
use ternflock_base::error::Result;

const METHODS: [LowRankMethod; 2] = [LowRankMethod::Pca, LowRankMethod::Svd];

fn matrix(values: &[f32], filters: usize, width: usize) -> Matrix<'_> {
    Matrix { name: "conv1/weight", values, filters, width }
}

fn decompose(method: LowRankMethod, values: &[f32], filters: usize, width: usize) -> Decomposition {
    Decomposition::new(method, matrix(values, filters, width)).unwrap()
}

/// Pseudo-random numbers, some of them large.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// H_u diag(singular) H_v of `[n, d]`, where H = I - 2 x xᵀ / |x|² are reflections: a matrix with these singular values.
fn with_spectrum(n: usize, d: usize, singular: &[f64]) -> Vec<f32> {
    let reflection = |size: usize| -> Vec<Vec<f64>> {
        let x: Vec<f64> = (0..size).map(|i| 1.0 + (i % 3) as f64).collect();
        let square: f64 = x.iter().map(|x| x * x).sum();
        let element = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * x[i] * x[j] / square;
        (0..size).map(|i| (0..size).map(|j| element(i, j)).collect()).collect()
    };
    let (u, v) = (reflection(n), reflection(d));
    let element = |i: usize| -> f64 {
        let (row, column) = (i / d, i % d);
        singular.iter().enumerate().map(|(k, s)| u[row][k] * s * v[k][column]).sum()
    };
    (0..n * d).map(|i| element(i) as f32).collect()
}

/// The squared error of the product of `factors`, and a bound on what rounding them to float32 adds to its root: each
/// element of the product is off by at most 2 u (1 + u) times the sum of |expand| |basis|.
fn squared_error(values: &[f32], factors: &Factors, filters: usize, width: usize) -> (f64, f64) {
    let rank = factors.expand.len() / filters;
    let (mut square, mut rounding) = (0.0, 0.0);
    for (i, &value) in values.iter().enumerate() {
        let terms = (0..rank).map(|k| {
            f64::from(factors.expand[i / width * rank + k]) * f64::from(factors.basis[k * width + i % width])
        });
        let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
        square += (sum - f64::from(value)).powi(2);
        rounding += (2.1 * f64::from(f32::EPSILON) / 2.0 * size).powi(2);
    }
    (square, rounding.sqrt())
}

#[test]
fn a_known_spectrum_is_found() {
    for (n, d) in [(6, 9), (9, 6), (6, 6), (7, 40)] {
        let values = with_spectrum(n, d, &[4.0, 2.0, 1.0, 0.5, 0.25]);
        for method in METHODS {
            let spectrum = decompose(method, &values, n, d).spectrum;
            // Energies 16, 4, 1, 1/4, 1/16 of 21.3125; values rounded to float32.
            for (energy, expected) in spectrum.energies().iter().zip([16.0, 4.0, 1.0, 0.25, 0.0625, 0.0]) {
                assert!((energy - expected).abs() < 1e-5, "{method:?}, {n}x{d}: {spectrum:?}");
            }
            let ranks = [0.75, 0.76, 0.93, 0.95, 0.98, 0.99].map(|energy| spectrum.rank_at(energy));
            assert_eq!(ranks, [1, 2, 2, 3, 3, 4], "{method:?}, {n}x{d}");
        }
        let alone = Spectrum::of(matrix(&values, n, d)).unwrap();
        let with_directions = decompose(LowRankMethod::Pca, &values, n, d).spectrum;
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-13 * 16.0;
        assert!(alone.energies().iter().zip(with_directions.energies()).all(close));
    }
}

/// Three filters, the third of which is the sum of the others: two directions hold everything.
#[test]
fn dependent_filters_have_no_energy_of_their_own() {
    let values = [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, -1.0, 1.0, 2.0, 3.0, -1.0];
    for method in METHODS {
        let parts = decompose(method, &values, 3, 4);
        assert_eq!((parts.spectrum.rank_at(1.0), parts.spectrum.full_rank()), (2, 3));
        let (error, rounding) = squared_error(&values, &parts.factors(2), 3, 4);
        assert!(error.sqrt() <= rounding + 1e-12, "{method:?}: {error} {rounding}");
    }
}

#[test]
fn zeros_and_single_rows_and_columns() {
    for method in METHODS {
        for (n, d) in [(4, 7), (7, 4), (1, 5), (5, 1), (1, 1)] {
            let zeros = vec![0.0; n * d];
            let parts = decompose(method, &zeros, n, d);
            assert_eq!(parts.spectrum.rank_at(0.95), 1);
            let factors = parts.factors(1);
            assert_eq!(squared_error(&zeros, &factors, n, d).0, 0.0, "{method:?}, {n}x{d}");
            assert!(factors.expand.iter().chain(&factors.basis).all(|v| v.is_finite()));
        }
        let row = [3.0, -4.0];
        for (n, d) in [(1, 2), (2, 1)] {
            let parts = decompose(method, &row, n, d);
            assert!((parts.spectrum.energies()[0] - 25.0).abs() < 1e-12);
            let (error, rounding) = squared_error(&row, &parts.factors(1), n, d);
            assert!(error.sqrt() <= rounding + 1e-12, "{method:?}, {n}x{d}");
        }
    }
}

/// The largest and the smallest numbers neither overflow nor vanish.
#[test]
fn extreme_numbers_keep_their_directions() {
    for scale in [1e38f32, 1e-37] {
        let values: Vec<f32> = numbers(12, 3).iter().map(|v| v * scale).collect();
        for method in METHODS {
            let parts = decompose(method, &values, 3, 4);
            let (error, rounding) = squared_error(&values, &parts.factors(3), 3, 4);
            // Factors below the smallest normal number lose bits.
            assert!(
                error.sqrt() <= 1.01 * rounding + 1e-6 * f64::from(scale),
                "{method:?}, {scale}: {error}"
            );
        }
    }
}

#[test]
fn what_is_not_finite_is_named() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut values = numbers(20, 1);
        values[7] = bad;
        let refusals: [Result<()>; 3] = [
            Decomposition::new(LowRankMethod::Pca, matrix(&values, 4, 5)).map(drop),
            Decomposition::new(LowRankMethod::Svd, matrix(&values, 5, 4)).map(drop),
            Spectrum::of(matrix(&values, 4, 5)).map(drop),
        ];
        for refusal in refusals {
            let message = refusal.unwrap_err().to_string();
            assert!(message.contains(&format!("`conv1/weight` holds {bad} at element 7")), "{message}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For every rank and both methods, the error is the energy that was dropped. Directions are orthonormal,
    /// or have equal norms in both factors. Signs are fixed, and a second decomposition gives the same bits.
    #[test]
    fn the_error_is_the_energy_dropped(n in 1usize..14, d in 1usize..14, seed in 0u64..1000) {
        let values = numbers(n * d, seed);
        let total: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
        for method in METHODS {
            let parts = decompose(method, &values, n, d);
            prop_assert_eq!(parts.spectrum.full_rank(), n.min(d));
            prop_assert!((parts.spectrum.energies().iter().sum::<f64>() - total).abs() <= 1e-12 * total);
            for rank in 1..=n.min(d) {
                let factors = parts.factors(rank);
                prop_assert_eq!(&factors, &decompose(method, &values, n, d).factors(rank));
                let (error, rounding) = squared_error(&values, &factors, n, d);
                let dropped = total * (1.0 - parts.spectrum.kept(rank));
                // Either root may differ by the double-precision rounding of energies: sqrt(n d 2^-52) of the
                // total.
                let slack = rounding + (1e-13 * total).sqrt();
                prop_assert!((error.sqrt() - dropped.max(0.0).sqrt()).abs() <= slack,
                    "{:?} {}: {} {} {}", method, rank, error, dropped, rounding);
                for component in 0..rank {
                    let column = factors.expand[component..].iter().step_by(rank);
                    let largest = column.fold(0.0f32, |l, &v| if v.abs() > l.abs() { v } else { l });
                    prop_assert!(largest >= 0.0);
                }
            }
        }
    }

    /// More energy never needs fewer directions, and a rank keeps the energy for which it was chosen.
    #[test]
    fn ranks_grow_with_energy(n in 1usize..14, d in 1usize..14, seed in 0u64..1000) {
        let values = numbers(n * d, seed);
        let spectrum = Spectrum::of(matrix(&values, n, d)).unwrap();
        let mut before = 1;
        for percent in 1..=100 {
            let energy = f64::from(percent) / 100.0;
            let rank = spectrum.rank_at(energy);
            prop_assert!(rank >= before && rank <= n.min(d));
            prop_assert!(spectrum.kept(rank) >= energy);
            prop_assert!(rank == 1 || spectrum.kept(rank - 1) < energy);
            before = rank;
        }
    }
}
