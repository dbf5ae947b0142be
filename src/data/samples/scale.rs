//! Mean and standard deviation of each channel or feature, measured on some samples.

use serde::{Deserialize, Serialize};

use super::Selection;
use ternflock_base::error::Result;
use ternflock_nn::{Shape, Targets};

/// The samples that are measured together have about so many values.
const BLOCK: usize = 1 << 18;

/// A mean to subtract and a standard deviation to divide by, for each channel or feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The means.
    pub mean: Vec<f64>,
    /// The standard deviations; 1 for a feature without variance.
    pub std: Vec<f64>,
}

impl Scale {
    /// Normalises `values`, in which each of the features has `run` values in a row.
    pub(super) fn apply(&self, run: usize, values: &mut [f32]) {
        let normal = |value: f32, mean: f64, std: f64| ((f64::from(value) - mean) / std) as f32;
        for sample in values.chunks_exact_mut(self.mean.len() * run) {
            let scales = self.mean.iter().zip(&self.std);
            if run == 1 {
                sample
                    .iter_mut()
                    .zip(scales)
                    .for_each(|(value, (&mean, &std))| *value = normal(*value, mean, std));
                continue;
            }
            for (values, (&mean, &std)) in sample.chunks_exact_mut(run).zip(scales) {
                values.iter_mut().for_each(|value| *value = normal(*value, mean, std));
            }
        }
    }
}

impl Scale {
    /// The inverse of normalising `values`, in which the features of a sample follow each other.
    pub(super) fn undo(&self, values: &mut [f32]) {
        for sample in values.chunks_exact_mut(self.mean.len()) {
            for (value, (mean, std)) in sample.iter_mut().zip(self.mean.iter().zip(&self.std)) {
                *value = (f64::from(*value) * std + mean) as f32;
            }
        }
    }
}

/// The number of channels or features of samples of `shape`, and how many values of one follow each other.
pub(super) fn features(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Image { channels, height, width } => (channels, height * width),
        Shape::Vector { features } | Shape::Sequence { features, .. } => (features, 1),
        // Tokens are not measured.
        Shape::Tokens { .. } => (1, 1),
    }
}

/// The scales of the inputs and of the values to predict of the samples `of`; the second is empty for classes.
///
/// The samples are read in blocks of a fixed size, whose moments are combined in their order. So the result is the same
/// to the bit on every rank.
///
/// # Errors
/// Those of reading.
pub(super) fn measure(of: &Selection) -> Result<(Scale, Scale)> {
    let shape = of.samples.input();
    let (channels, run) = features(shape);
    let mut inputs = Moments::new(channels);
    let mut values = Moments::default();
    let (mut block, mut targets) = (Vec::new(), Targets::default());
    for numbers in of.numbers.chunks((BLOCK / shape.elements().max(1)).max(1)) {
        block.resize(numbers.len() * shape.elements(), 0.0);
        of.samples.read(numbers, &mut block, &mut targets)?;
        inputs.add(&block, run);
        if values.means.len() != targets.width {
            values = Moments::new(targets.width);
        }
        values.add(&targets.values, 1);
    }
    Ok((inputs.scale(), values.scale()))
}

/// The number, means and sums of squared deviations of the values of each feature.
#[derive(Default)]
struct Moments {
    count: f64,
    means: Vec<f64>,
    squares: Vec<f64>,
    /// The sums of a block.
    sums: Vec<f64>,
}

impl Moments {
    fn new(features: usize) -> Moments {
        let zeros = vec![0.0; features];
        Moments { count: 0.0, means: zeros.clone(), squares: zeros.clone(), sums: zeros }
    }

    /// Adds a block of `values`, in which each feature has `run` values in a row.
    fn add(&mut self, values: &[f32], run: usize) {
        let features = self.means.len();
        if features == 0 {
            return;
        }
        let count = (values.len() / features) as f64;
        sum_each(values, run, &mut self.sums, |_, value| value);
        let means: Vec<f64> = self.sums.iter().map(|sum| sum / count).collect();
        sum_each(values, run, &mut self.sums, |feature, value| (value - means[feature]).powi(2));
        // Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
        let total = self.count + count;
        for (feature, mean) in means.into_iter().enumerate() {
            let distance = mean - self.means[feature];
            self.means[feature] += distance * count / total;
            self.squares[feature] += self.sums[feature] + distance * distance * self.count * count / total;
        }
        self.count = total;
    }

    fn scale(self) -> Scale {
        let deviation = |(&mean, &squares): (&f64, &f64)| {
            let std = (squares / self.count).sqrt();
            // A constant differs from its mean by rounding.
            if std > 8.0 * f64::EPSILON * mean.abs() { std } else { 1.0 }
        };
        let std = self.means.iter().zip(&self.squares).map(deviation).collect();
        Scale { mean: self.means, std }
    }
}

/// Replaces `sums` by the sum of `term` over the values of each feature.
fn sum_each(values: &[f32], run: usize, sums: &mut [f64], term: impl Fn(usize, f64) -> f64) {
    sums.fill(0.0);
    for row in values.chunks_exact(sums.len() * run) {
        if run == 1 {
            for (feature, (sum, &value)) in sums.iter_mut().zip(row).enumerate() {
                *sum += term(feature, f64::from(value));
            }
            continue;
        }
        for (feature, (sum, values)) in sums.iter_mut().zip(row.chunks_exact(run)).enumerate() {
            *sum += values.iter().map(|&value| term(feature, f64::from(value))).sum::<f64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn features_keep_apart_whatever_their_layout() {
        // Two features, value by value; and two channels of two pixels.
        for (values, run) in [([1.0, 10.0, 3.0, 10.0], 1), ([1.0, 3.0, 10.0, 10.0], 2)] {
            let mut moments = Moments::new(2);
            moments.add(&values, run);
            let scale = moments.scale();
            assert_eq!(scale, Scale { mean: vec![2.0, 10.0], std: vec![1.0, 1.0] });
            let mut values = values;
            scale.apply(run, &mut values);
            assert_eq!(values, if run == 1 { [-1.0, 0.0, 1.0, 0.0] } else { [-1.0, 1.0, 0.0, 0.0] });
        }
    }

    #[test]
    fn a_constant_has_no_variance() {
        let mut moments = Moments::new(1);
        for _ in 0..7 {
            moments.add(&[0.1; 1001], 1);
        }
        let scale = moments.scale();
        assert_eq!(scale.std, [1.0]);
        let mut values = [0.1];
        scale.apply(1, &mut values);
        assert!(values[0].abs() < 1e-15);
    }

    proptest! {
        /// Blocks give the moments of all values together, also far from zero.
        #[test]
        fn blocks_add_up(
            values in proptest::collection::vec(-1.0f32..1.0, 2..200), offset in -1e4f32..1e4, block in 1usize..50
        ) {
            let values: Vec<f32> = values.iter().map(|value| value + offset).collect();
            let mut moments = Moments::new(1);
            values.chunks(block).for_each(|block| moments.add(block, 1));
            let scale = moments.scale();
            let count = values.len() as f64;
            let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
            let variance =
                values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
            prop_assert!((scale.mean[0] - mean).abs() < 1e-9);
            if variance > 1e-12 {
                prop_assert!((scale.std[0] / variance.sqrt() - 1.0).abs() < 1e-9);
            }
        }
    }
}
