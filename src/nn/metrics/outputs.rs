//! The errors of a network that predicts values.

use std::ops::Range;

/// For each of K outputs: the sums of its errors, and the mean and the spread of its targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    sums: Vec<Sums>,
    /// Those of the current batch.
    batch: Vec<Sums>,
    samples: u64,
    /// The unit of each output's targets, in units of the target itself.
    scale: Vec<f64>,
}

/// The sums of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    /// Of |output - target|, and of its square.
    absolute: f64,
    squares: f64,
    /// The mean of the targets, and the sum of squared differences from it.
    mean: f64,
    spread: f64,
}

/// The number of words of a record.
const RECORD: usize = 4;

/// The scores of an output, or their mean over all. A score that is undefined is `None`: R² without two targets that
/// differ, and everything without a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputScores {
    /// The root of the mean squared error, in the unit of the target.
    pub rmse: Option<f64>,
    /// The mean absolute error, in the unit of the target.
    pub mae: Option<f64>,
    /// 1 - sum (output - target)^2 / sum (target - mean)^2.
    pub r2: Option<f64>,
}

impl Outputs {
    /// Nothing counted, for `outputs` outputs. Errors are multiplied by `scale` `[K]`; `None`: by 1.
    pub fn new(outputs: usize, scale: Option<&[f32]>) -> Outputs {
        let scale = match scale {
            Some(scale) => scale.iter().copied().map(f64::from).collect(),
            None => vec![1.0; outputs],
        };
        let sums = vec![Sums::default(); outputs];
        Outputs { batch: sums.clone(), sums, samples: 0, scale }
    }

    /// The scores of each output.
    pub fn scores(&self) -> Vec<OutputScores> {
        let mean = |sum: f64| (self.samples > 0).then(|| sum / self.samples as f64);
        let one = |(sums, scale): (&Sums, &f64)| OutputScores {
            rmse: mean(sums.squares).map(|mean| scale * mean.sqrt()),
            mae: mean(sums.absolute).map(|mean| scale * mean),
            r2: (self.samples > 1 && sums.spread > 0.0).then(|| 1.0 - sums.squares / sums.spread),
        };
        self.sums.iter().zip(&self.scale).map(one).collect()
    }

    /// The scores of all outputs together: the root of the mean over all squared errors, the mean over all absolute errors,
    /// and the mean of R² over the outputs that have one.
    pub fn mean_scores(&self) -> OutputScores {
        let scores = self.scores();
        let mean =
            |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let all = |score: fn(&OutputScores) -> Option<f64>| mean(scores.iter().filter_map(score).collect());
        OutputScores {
            rmse: all(|scores| scores.rmse.map(|rmse| rmse * rmse)).map(f64::sqrt),
            mae: all(|scores| scores.mae),
            r2: all(|scores| scores.r2),
        }
    }

    /// Adds a batch, whose own sums are taken first.
    pub(super) fn add(&mut self, outputs: &[f32], values: &[f32]) {
        let width = self.sums.len();
        let samples = (values.len() / width) as u64;
        self.batch.fill(Sums::default());
        for values in values.chunks(width) {
            self.batch.iter_mut().zip(values).for_each(|(sums, &value)| sums.mean += f64::from(value));
        }
        self.batch.iter_mut().for_each(|sums| sums.mean /= samples as f64);
        for (outputs, values) in outputs.chunks(width).zip(values.chunks(width)) {
            for (sums, (&output, &value)) in self.batch.iter_mut().zip(outputs.iter().zip(values)) {
                let (error, value) = (f64::from(output) - f64::from(value), f64::from(value));
                sums.absolute += error.abs();
                sums.squares += error * error;
                sums.spread += (value - sums.mean).powi(2);
            }
        }
        let counts = (self.samples, samples);
        self.sums.iter_mut().zip(&self.batch).for_each(|(sums, batch)| sums.add(counts, *batch));
        self.samples += samples;
    }

    pub(super) fn emptied(&self) -> Outputs {
        let sums = vec![Sums::default(); self.sums.len()];
        Outputs { batch: sums.clone(), sums, samples: 0, scale: self.scale.clone() }
    }

    pub(super) fn words(&self) -> Vec<u64> {
        let record = |sums: &Sums| [sums.absolute, sums.squares, sums.mean, sums.spread].map(f64::to_bits);
        self.sums.iter().flat_map(record).collect()
    }

    pub(super) fn merge(&mut self, first: usize, words: &[u64], samples: Range<u64>) {
        let counts = (samples.start, samples.end - samples.start);
        for (sums, record) in self.sums.iter_mut().skip(first / RECORD).zip(words.as_chunks::<RECORD>().0) {
            let [absolute, squares, mean, spread] = record.map(f64::from_bits);
            sums.add(counts, Sums { absolute, squares, mean, spread });
        }
        self.samples = self.samples.max(samples.end);
    }
}

impl Sums {
    /// Adds the sums `other` over `more` samples to these over `own` (Chan, Golub and LeVeque 1979).
    fn add(&mut self, (own, more): (u64, u64), other: Sums) {
        if more == 0 {
            return;
        }
        let (own, more) = (own as f64, more as f64);
        let (shift, share) = (other.mean - self.mean, more / (own + more));
        self.absolute += other.absolute;
        self.squares += other.squares;
        self.mean += shift * share;
        self.spread += other.spread + shift * shift * own * share;
    }
}
