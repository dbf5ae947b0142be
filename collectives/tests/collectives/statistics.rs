//! Stochastic rounding as a random experiment: is it unbiased, and are its draws independent?
//!
//! Seeds are fixed, so that a test that passes once always passes. Correct draws violate each bound with a
//! probability below [`ALARM`]; there are about a thousand bounds.

use ternflock_collectives::random::{Purpose, Stream};

use crate::codec::ternaries;

const STREAM: Stream = Stream { seed: 42, purpose: Purpose::Ternary, step: 0, subject: 0, tensor: 0 };

/// The probability of a false alarm of one assertion.
const ALARM: f64 = 1e-9;

/// Elements of an experiment.
const COUNT: usize = 1 << 20;

/// The maximum deviation of a sum of independent terms from its mean, if no term is more than 1 from its
/// mean. By Bernstein's inequality, the deviation is at least `t` with a probability of at most 2 exp(-t^2 /
/// (2 variance + 2 t / 3)).
fn bernstein(variance: f64) -> f64 {
    let l = (2.0 / ALARM).ln();
    l / 3.0 + (l * l / 9.0 + 2.0 * variance * l).sqrt()
}

/// Checks the number of successes in `n` independent trials with probability `p`.
fn assert_binomial(successes: usize, n: usize, p: f64, what: &str) {
    let (mean, t) = (n as f64 * p, bernstein(n as f64 * p * (1.0 - p)));
    assert!((successes as f64 - mean).abs() <= t, "{what}: {successes} of {n} at {p}, at most {t:.1} away");
}

/// Checks that `counts` of equally probable cells are neither too uneven nor too even, with the bounds of Laurent and
/// Massart (2000), lemma 1, for a chi-square variable.
fn assert_even(counts: &[usize], what: &str) {
    let freedom = (counts.len() - 1) as f64;
    let expected = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    let chi: f64 = counts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
    let t = (1.0 / ALARM).ln();
    let spread = 2.0 * (freedom * t).sqrt();
    assert!(chi <= freedom + spread + 2.0 * t, "{what}: chi-square {chi} of {freedom} degrees of freedom");
    assert!(chi >= freedom - spread, "{what}: chi-square {chi} of {freedom} degrees of freedom is too even");
}

/// The elements that are kept if each is `x` times the scale.
fn kept(x: f32, stream: Stream) -> Vec<bool> {
    ternaries(&vec![x; COUNT], f32::INFINITY, 1.0, stream).into_iter().map(|ternary| ternary != 0).collect()
}

/// Probabilities whose draws are compared: rare and frequent ones, one that is not a multiple of 2^-16, so that lower
/// halves matter, and one half.
const PROBABILITIES: [f32; 7] = [0.001, 0.03, 0.25, 0.5, 1.0 / 3.0, 0.9, 0.999];

/// Checks that two rows of draws with probability `p` have no covariance: the sum of (a - p)(b - p) over pairs.
///
/// If the rows are independent, each term has mean 0 and variance (p (1 - p))^2 and is at most 1. The terms are
/// independent if no draw is in two pairs. A draw's probability differs from p by at most 2^-22 of it, which is
/// negligible here. If b always equalled a, the sum would be n p (1 - p); the bound detects that as long as n p (1 - p)
/// is above about 60.
fn assert_uncorrelated(pairs: impl Iterator<Item = (bool, bool)>, p: f32, what: &str) {
    let (p, mut n, mut sum) = (f64::from(p), 0, 0.0);
    let off = |kept: bool| f64::from(u8::from(kept)) - p;
    for (a, b) in pairs {
        n += 1;
        sum += off(a) * off(b);
    }
    let t = bernstein(f64::from(n) * (p * (1.0 - p)).powi(2));
    let same = f64::from(n) * p * (1.0 - p);
    assert!(t < same / 3.0, "{what}: {n} pairs at {p} are too few to tell: {t:.1} of {same:.1}");
    assert!(f64::abs(sum) <= t, "{what}: {sum:.1} over {n} pairs at {p}, at most {t:.1}");
}

/// Pairs of draws that are `lag` apart, with no draw in two pairs: every other run of `lag` draws, paired with the next
/// run.
fn apart(row: &[bool], lag: usize) -> impl Iterator<Item = (bool, bool)> + '_ {
    let stretches = row.chunks_exact(2 * lag).map(move |both| both.split_at(lag));
    stretches.flat_map(|(first, second)| first.iter().copied().zip(second.iter().copied()))
}

/// Checks that two rows of fair draws agree as often as not. If they are independent, the number of
/// agreements is exactly binomial. This also holds for a row compared with itself shifted: whether neighbours
/// agree is again a row of independent fair draws.
fn assert_independent(a: &[bool], b: &[bool], what: &str) {
    let n = a.len().min(b.len());
    assert_binomial(a.iter().zip(b).filter(|(a, b)| a == b).count(), n, 0.5, what);
}

#[test]
fn rounding_is_unbiased() {
    let multiples = [1, 3, 257, 12_345, 32_768, 65_535].map(|k| k as f32 / 65_536.0);
    // Below 2^-16 and above 1 - 2^-16, only the lower halves decide.
    let others = [2.0_f32.powi(-17), 1e-4, 0.01, 0.25, 0.9, 0.999, 1.0 - 2.0_f32.powi(-17)];
    for x in multiples.into_iter().chain(others) {
        for (step, sign) in [(0, 1.0), (1, -1.0)] {
            let values = vec![sign * 3.0 * x; COUNT];
            let all = ternaries(&values, f32::INFINITY, 3.0, Stream { step, ..STREAM });
            assert!(all.iter().all(|ternary| *ternary == 0 || *ternary == sign as i32));
            let nonzero = all.iter().filter(|ternary| **ternary != 0).count();
            // The bias that the definition allows is negligible compared with the allowed deviation of the
            // count.
            assert_binomial(nonzero, COUNT, f64::from(x), "kept");
        }
    }
}

#[test]
fn a_mixed_tensor_sums_to_its_gradient() {
    let values: Vec<f32> = (0..COUNT).map(|i| 3.0 * (i as f32 / COUNT as f32 - 0.5)).collect();
    let sum: i32 = ternaries(&values, f32::INFINITY, 3.0, STREAM).iter().sum();
    let exact: f64 = values.iter().map(|value| f64::from(*value) / 3.0).sum();
    let variance: f64 = values.iter().map(|v| f64::from(v.abs()) / 3.0).map(|x| x * (1.0 - x)).sum();
    let t = bernstein(variance);
    assert!((f64::from(sum) - exact).abs() <= t, "{sum} for {exact}, at most {t:.1} away");
}

#[test]
fn draws_are_independent_across_ranks_steps_tensors_and_neighbours() {
    let base = kept(0.5, STREAM);
    assert_binomial(base.iter().filter(|kept| **kept).count(), COUNT, 0.5, "kept");
    for near in 1..=4 {
        let others = [
            Stream { subject: near, ..STREAM },
            Stream { step: u64::from(near), ..STREAM },
            Stream { tensor: near as u16, ..STREAM },
            Stream { seed: STREAM.seed + u64::from(near), ..STREAM },
        ];
        for other in others {
            assert_independent(&base, &kept(0.5, other), &format!("{other:?}"));
        }
    }
    for lag in [1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 64, 128, 512, 4096] {
        assert_independent(&base, &base[lag..], &format!("elements {lag} apart"));
    }
    assert_eq!(base, kept(0.5, STREAM), "the same stream must draw the same");
}

/// The same at probabilities other than one half, where a single bit of the generator does not decide a draw.
#[test]
fn draws_are_independent_at_every_probability() {
    for p in PROBABILITIES {
        let base = kept(p, STREAM);
        assert_binomial(base.iter().filter(|kept| **kept).count(), COUNT, f64::from(p), "kept");
        for near in [1, 2, 3, 8] {
            let others = [
                Stream { subject: near, ..STREAM },
                Stream { step: u64::from(near), ..STREAM },
                Stream { tensor: near as u16, ..STREAM },
                Stream { seed: STREAM.seed + u64::from(near), ..STREAM },
                Stream { subject: near, step: u64::from(near), ..STREAM },
            ];
            for other in others {
                let row = kept(p, other);
                let pairs = base.iter().copied().zip(row.iter().copied());
                assert_uncorrelated(pairs, p, &format!("{other:?}"));
                // Shifted by one place: an element of a rank or step must not get the draw of its neighbour
                // either.
                let pairs = base.iter().copied().zip(row[1..].iter().copied());
                assert_uncorrelated(pairs, p, &format!("{other:?}, one apart"));
            }
        }
        for lag in [1, 2, 3, 4, 7, 8, 16, 32, 64, 512, 4096] {
            assert_uncorrelated(apart(&base, lag), p, &format!("elements {lag} apart"));
        }
    }
}

/// Ranks with different gradients: rank 0 keeps an element with one probability, and rank 1 with another.
#[test]
fn ranks_of_different_gradients_are_independent() {
    for (p, q) in [(0.1, 0.6), (0.5, 0.02), (0.9, 0.3), (0.25, 0.75)] {
        let (a, b) = (kept(p, STREAM), kept(q, Stream { subject: 1, ..STREAM }));
        let both = a.iter().zip(&b).filter(|(a, b)| **a && **b).count();
        // Both keep each element, independently, with probability p q, so the count is binomial.
        assert_binomial(both, COUNT, f64::from(p) * f64::from(q), &format!("kept at {p} and at {q}"));
    }
}

#[test]
fn neighbours_take_all_patterns_equally_often() {
    let base = kept(0.5, STREAM);
    for length in [2, 8, 12] {
        let mut counts = vec![0; 1 << length];
        for row in base.chunks_exact(length) {
            counts[row.iter().fold(0, |pattern, kept| pattern << 1 | usize::from(*kept))] += 1;
        }
        assert_even(&counts, &format!("{length} neighbours"));
    }
}

#[test]
fn of_several_ranks_all_patterns_are_equally_frequent() {
    let ranks: Vec<_> = (0..8).map(|subject| kept(0.5, Stream { subject, ..STREAM })).collect();
    let mut counts = vec![0; 1 << ranks.len()];
    for element in 0..COUNT {
        counts[ranks.iter().fold(0, |pattern, rank| pattern << 1 | usize::from(rank[element]))] += 1;
    }
    assert_even(&counts, "ranks");
}

#[test]
fn lower_halves_are_fair_and_independent_of_upper_ones_and_of_each_other() {
    // Every element ties: its threshold has the upper half that is drawn for it, and a lower half of 2^15.
    let tied = |stream: Stream| -> Vec<bool> {
        let part = |i: u64| (f32::from(stream.half(i)) + 0.5) / 65_536.0;
        let values: Vec<f32> = (0..COUNT as u64).map(part).collect();
        ternaries(&values, f32::INFINITY, 1.0, stream).into_iter().map(|ternary| ternary != 0).collect()
    };
    let base = tied(STREAM);
    assert_binomial(base.iter().filter(|kept| **kept).count(), COUNT, 0.5, "kept by the lower half");
    let upper: Vec<bool> = (0..COUNT as u64).map(|i| STREAM.half(i) < 1 << 15).collect();
    assert_independent(&base, &upper, "halves of a draw");
    assert_independent(&base, &tied(Stream { subject: 1, ..STREAM }), "ranks 0 and 1");
    assert_independent(&base, &tied(Stream { step: 1, ..STREAM }), "steps 0 and 1");
    assert_independent(&base, &tied(Stream { tensor: 1, ..STREAM }), "tensors 0 and 1");
    for lag in [1, 2, 3, 4, 7, 8, 64] {
        assert_independent(&base, &base[lag..], &format!("elements {lag} apart"));
    }
}
