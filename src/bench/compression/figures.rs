//! How far the mean of ternaries is from the mean gradient, computed from the expectation of rounding.
//!
//! Rank r clips its gradient to m_r and rounds element i to s, with the sign of m_r, with probability |m_r| / s. The
//! expectation of the mean over P ranks is therefore the mean of the m_r, exactly, and its variance is the sum of
//! |m_r| (s - |m_r|) over ranks and elements, divided by P². No rounding has to be drawn.

use std::ops::AddAssign;

use serde::Serialize;

use super::rules::Rule;

/// Sums over elements, ranks and steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// The squares of the mean gradient, of the expected mean of ternaries, and the products of both.
    gradient: f64,
    expected: f64,
    both: f64,
    /// The variance of the mean of ternaries.
    variance: f64,
    /// Elements of all ranks: all, those that are not zero, and those of the latter that are clipped.
    elements: u64,
    nonzero: u64,
    clipped: u64,
    /// Ternaries of all ranks: all, and those that are not zero, expected.
    ternaries: u64,
    kept: f64,
}

/// A magnitude of one rank, rounded to ternaries.
struct Rounded {
    expected: f64,
    variance: f64,
    ternaries: u64,
    /// The expected number of those that are not zero.
    kept: f64,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.gradient += other.gradient;
        self.expected += other.expected;
        self.both += other.both;
        self.variance += other.variance;
        self.elements += other.elements;
        self.nonzero += other.nonzero;
        self.clipped += other.clipped;
        self.ternaries += other.ternaries;
        self.kept += other.kept;
    }
}

impl Sums {
    /// The sums for one tensor with rows of `row` elements, whose gradient on each rank is in `ranks`, if it is clipped by
    /// `rule` at `clip_sigma` standard deviations.
    pub fn of(rule: Rule, ranks: &[&[f32]], row: usize, clip_sigma: f64) -> Sums {
        let elements = ranks.first().map_or(0, |values| values.len());
        let group = rule.group(elements, row);
        let mut sums = Sums::default();
        for start in (0..elements).step_by(group) {
            let parts: Vec<&[f32]> =
                ranks.iter().map(|values| &values[start..(start + group).min(elements)]).collect();
            sums += Sums::of_group(rule, &parts, row, clip_sigma);
        }
        sums
    }

    /// The sums for elements that share a scale.
    fn of_group(rule: Rule, ranks: &[&[f32]], row: usize, clip_sigma: f64) -> Sums {
        let (clips, scales): (Vec<f32>, Vec<f32>) =
            ranks.iter().map(|values| rule.clip(values, row, clip_sigma)).unzip();
        let scale = scales.into_iter().fold(0.0, f32::max);
        let mut sums = Sums::default();
        let row = row.max(1);
        for start in (0..ranks[0].len()).step_by(row) {
            let rows: Vec<&[f32]> =
                ranks.iter().map(|values| &values[start..(start + row).min(values.len())]).collect();
            let own = rows.iter().zip(&clips).filter_map(|(row, clip)| rule.own_scale(row, *clip));
            match own.reduce(f32::max) {
                None => sums.add_row(&rows, &clips, f64::from(scale)),
                Some(own) => sums.add_row_of_digits(&rows, f64::from(own.max(scale)) / 7.0),
            }
        }
        sums
    }

    /// Adds a row that each rank clips at its own of `clips`, with one ternary of `scale` per element.
    fn add_row(&mut self, ranks: &[&[f32]], clips: &[f32], scale: f64) {
        self.add_elements(ranks, |rank, value| {
            let magnitude = value.min(f64::from(clips[rank]));
            let kept = if scale > 0.0 { magnitude / scale } else { 0.0 };
            Rounded { expected: magnitude, variance: magnitude * (scale - magnitude), ternaries: 1, kept }
        });
    }

    /// Adds a row with three ternaries per element: `unit` times 4 and 2 rounded to nearest, and `unit` at random.
    fn add_row_of_digits(&mut self, ranks: &[&[f32]], unit: f64) {
        self.add_elements(ranks, |_, value| {
            let (mut left, mut kept) = (value, 0.0);
            for power in [4.0, 2.0] {
                if left > power * unit / 2.0 {
                    (left, kept) = ((left - power * unit).abs(), kept + 1.0);
                }
            }
            let variance = left * (unit - left);
            Rounded { expected: value, variance, ternaries: 3, kept: kept + left / unit }
        });
    }

    /// Adds elements of all `ranks`, of which `round` rounds the magnitudes.
    fn add_elements(&mut self, ranks: &[&[f32]], round: impl Fn(usize, f64) -> Rounded) {
        let world = ranks.len() as f64;
        for element in 0..ranks[0].len() {
            let (mut gradient, mut expected) = (0.0, 0.0);
            for (rank, values) in ranks.iter().enumerate() {
                let value = f64::from(values[element]);
                let rounded = round(rank, value.abs());
                gradient += value;
                expected += rounded.expected.copysign(value);
                self.variance += rounded.variance / (world * world);
                self.elements += 1;
                self.nonzero += u64::from(value != 0.0);
                self.clipped += u64::from(value.abs() > rounded.expected);
                self.ternaries += rounded.ternaries;
                self.kept += rounded.kept;
            }
            self.gradient += (gradient / world).powi(2);
            self.expected += (expected / world).powi(2);
            self.both += gradient * expected / (world * world);
        }
    }

    /// The sums for a tensor that travels as float32.
    pub fn exact(ranks: &[&[f32]]) -> Sums {
        let world = ranks.len() as f64;
        let mut sums = Sums::default();
        for element in 0..ranks.first().map_or(0, |values| values.len()) {
            let gradient = ranks.iter().map(|values| f64::from(values[element])).sum::<f64>() / world;
            sums.gradient += gradient * gradient;
            sums.elements += ranks.len() as u64;
            sums.nonzero += ranks.iter().filter(|values| values[element] != 0.0).count() as u64;
        }
        Sums { expected: sums.gradient, both: sums.gradient, ..sums }
    }

    /// The figures of these sums.
    pub fn figures(&self) -> Figures {
        let ratio = |a: f64, b: f64| if b == 0.0 { 0.0 } else { a / b };
        let kept = ratio(self.kept, self.ternaries as f64);
        let per_element = ratio(self.ternaries as f64, self.elements as f64);
        let cosine = ratio(self.both, (self.gradient * self.expected).sqrt());
        Figures {
            angle_degrees: if self.expected == 0.0 {
                0.0
            } else {
                cosine.clamp(-1.0, 1.0).acos().to_degrees()
            },
            norm_ratio: ratio(self.expected, self.gradient).sqrt(),
            clipped: ratio(self.clipped as f64, self.nonzero as f64),
            zeros: 1.0 - ratio(self.nonzero as f64, self.elements as f64),
            kept,
            bits: (kept + entropy(kept)) * per_element,
            variance: ratio(self.variance, self.gradient),
            rounded_norm_ratio: ratio(self.expected + self.variance, self.gradient).sqrt(),
        }
    }
}

/// The entropy of a bit that is 1 with probability `share`.
fn entropy(share: f64) -> f64 {
    let part = |share: f64| if share > 0.0 { -share * share.log2() } else { 0.0 };
    part(share) + part(1.0 - share)
}

/// How the mean of ternaries q differs from the mean gradient g.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// The angle between E\[q\] and g: the bias in direction.
    pub angle_degrees: f64,
    /// |E\[q\]| / |g|: the bias in length.
    pub norm_ratio: f64,
    /// The share of the elements that are not zero that are clipped.
    pub clipped: f64,
    /// The share of elements that are zero.
    pub zeros: f64,
    /// The share of one rank's ternaries that are not zero, expected. 0 for tensors that travel as float32.
    pub kept: f64,
    /// Bits per element of one rank that entropy coding needs at this share, if signs are even.
    pub bits: f64,
    /// E|q - E\[q\]|² / |g|²: the noise of rounding.
    pub variance: f64,
    /// The root of E|q|² / |g|²: the norm that `optimizer.clip_norm` sees, relative to the one without compression.
    pub rounded_norm_ratio: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two ranks that touch different rows of 4; the rest is zero.
    fn ranks() -> [Vec<f32>; 2] {
        let mut ranks = [vec![0.0; 400], vec![0.0; 400]];
        for column in 0..4 {
            let sign = if column % 2 == 0 { 1.0 } else { -1.0 };
            ranks[0][4 + column] = sign * (1.0 + column as f32 / 8.0);
            ranks[1][300 + column] = sign * (-1.5 + column as f32 / 4.0);
        }
        ranks
    }

    fn figures(rule: Rule, clip_sigma: f64) -> Figures {
        let ranks = ranks();
        Sums::of(rule, &[&ranks[0], &ranks[1]], 4, clip_sigma).figures()
    }

    #[test]
    fn without_clipping_there_is_no_bias() {
        for rule in [Rule::Unclipped, Rule::TouchedRows, Rule::Nonzero] {
            let Figures { angle_degrees, norm_ratio, clipped, zeros, variance, .. } = figures(rule, 25.0);
            assert!(angle_degrees < 1e-5 && (norm_ratio - 1.0).abs() < 1e-12, "{rule:?}");
            assert_eq!((clipped, zeros), (0.0, 0.99), "{rule:?}");
            // The magnitudes are 1.5, 1.25, 1 and 0.75 in row 75, and 1, 1.125, 1.25 and 1.375 in row 1; the scale is 1.5.
            let part = |m: f64| m * (1.5 - m);
            let expected = [1.25, 1.0, 0.75, 1.0, 1.125, 1.25, 1.375].map(part).iter().sum::<f64>() / 4.0;
            let square = [1.5, 1.25, 1.0, 0.75, 1.0, 1.125, 1.25, 1.375].map(|g: f64| g * g / 4.0);
            assert!((variance - expected / square.iter().sum::<f64>()).abs() < 1e-12, "{rule:?}");
        }
    }

    #[test]
    fn the_published_rule_clips_what_few_rows_hold() {
        let published = figures(Rule::Elements, 2.5);
        assert_eq!(published.clipped, 1.0);
        assert!(published.norm_ratio < 0.35, "{published:?}");
        assert_eq!(figures(Rule::TouchedRows, 2.5).clipped, 0.0);
    }

    #[test]
    fn a_scale_per_row_has_less_variance() {
        assert!(figures(Rule::EveryRow, 25.0).variance < figures(Rule::Unclipped, 25.0).variance);
    }

    /// A row of 4 that is 100 times as large as the others, on one rank: with the scale of the tensor it is clipped. With one
    /// of its own it is not, and all others stay nearly free.
    #[test]
    fn a_large_row_has_a_scale_of_its_own() {
        let mut ranks = [vec![0.01_f32; 400], vec![0.01; 400]];
        ranks[0][40..44].copy_from_slice(&[1.0, -0.9, 0.8, -1.0]);
        let of = |rule| Sums::of(rule, &[&ranks[0], &ranks[1]], 4, 2.5).figures();
        let (one, own, every) = (of(Rule::Elements), of(Rule::RowScales), of(Rule::EveryRow));
        assert!(one.norm_ratio < 0.5 && one.clipped > 0.0, "{one:?}");
        assert!((own.norm_ratio - 1.0).abs() < 1e-6 && own.clipped == 0.0, "{own:?}");
        assert!(own.bits < 0.5 && every.bits > 0.9, "{own:?} {every:?}");
        // Of 0.9 and 0.8, multiples of 1 / 7 leave 0.3 / 7 and 0.4 / 7, and of the other rank 0.01 is left: each with the
        // variance m (1 / 7 - m) / 4.
        let part = |m: f64| m * (1.0 / 7.0 - m) / 4.0;
        let of_row = part(0.3 / 7.0) + part(0.4 / 7.0) + 4.0 * part(0.01);
        let others = 396.0 * 2.0 * 0.01 * (0.233 - 0.01) / 4.0;
        let gradient = 3.45 / 4.0 + 396.0 * 1e-4 + 4.0 * 25e-6 + 0.5 * 0.01 * -0.1;
        let variance = own.variance * gradient;
        assert!((variance / (of_row + others) - 1.0).abs() < 0.05, "{variance} {of_row} {others}");
    }

    /// The expectation and the variance agree with what the codec rounds.
    #[test]
    fn the_expectation_is_that_of_the_codec() {
        use ternflock_base::rng::{Purpose, Stream};
        use ternflock_collectives::codec::{Rounding, decode, encode};
        use ternflock_collectives::planes::{TERNARY, words};

        let values: Vec<f32> = (0..400).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).powi(3)).collect();
        let (clip, scale) = Rule::Elements.clip(&values, 4, 2.0);
        let (mut planes, mut decoded) = (vec![0; words(1, TERNARY)], vec![0.0; 400]);
        let (mut mean, mut squares) = (vec![0.0_f64; 400], 0.0);
        const DRAWS: u64 = 4000;
        for step in 0..DRAWS {
            let stream = Stream { seed: 3, purpose: Purpose::Ternary, step, subject: 0, tensor: 0 };
            encode(&values, clip, scale, Rounding::Stochastic(&stream), 0, &mut planes);
            decode(&planes, TERNARY, 0, scale, &mut decoded);
            mean.iter_mut().zip(&decoded).for_each(|(mean, q)| *mean += f64::from(*q) / DRAWS as f64);
            squares += decoded.iter().map(|q| f64::from(*q).powi(2)).sum::<f64>() / DRAWS as f64;
        }
        let norm = |values: &[f64]| values.iter().map(|g| g * g).sum::<f64>().sqrt();
        let gradient: Vec<f64> = values.iter().map(|g| f64::from(*g)).collect();
        let sums = Sums::of(Rule::Elements, &[&values], 4, 2.0);
        let figures = sums.figures();
        assert!(figures.clipped > 0.05, "{figures:?}");
        // Noise adds variance / draws to the square of the mean's norm, here 1 part in 1000.
        assert!((norm(&mean) / norm(&gradient) / figures.norm_ratio - 1.0).abs() < 4e-3, "{figures:?}");
        let rounded = squares.sqrt() / norm(&gradient);
        assert!((rounded / figures.rounded_norm_ratio - 1.0).abs() < 4e-3, "{rounded} {figures:?}");
    }
}
