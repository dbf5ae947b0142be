//! Softmax cross-entropy. Letters: N samples, K classes.

/// What a batch came to; tallies of parts add up to the tally of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Sum of the samples' losses, in nats.
    pub loss: f64,
    /// Samples whose largest logit is the label's (the first of equals counts).
    pub correct: u64,
    /// Samples.
    pub samples: u64,
}

impl Tally {
    /// Mean loss a sample.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.samples as f64
    }

    /// Share of correct samples.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples as f64
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.loss += other.loss;
        self.correct += other.correct;
        self.samples += other.samples;
    }
}

/// Cross-entropy of softmax(`logits` `[N, K]`) against `labels` `[N]`. With `gradient`, also writes `[N, K]`,
/// `weight * (softmax - one-hot)`: the gradient of `weight` times the sum of losses.
///
/// The largest logit is subtracted first, so that no exponential overflows.
pub fn softmax_cross_entropy(
    logits: &[f32],
    labels: &[usize],
    weight: f32,
    mut gradient: Option<&mut [f32]>,
) -> Tally {
    let mut tally = Tally::default();
    let Some(classes) = logits.len().checked_div(labels.len()) else { return tally };
    for (n, (row, &label)) in logits.chunks_exact(classes).zip(labels).enumerate() {
        let best = (1..classes).fold(0, |best, k| if row[k] > row[best] { k } else { best });
        let largest = row[best];
        let sum: f32 = row.iter().map(|&logit| (logit - largest).exp()).sum();
        tally.loss += f64::from(sum).ln() + f64::from(largest) - f64::from(row[label]);
        tally.correct += u64::from(best == label);
        tally.samples += 1;
        if let Some(gradient) = gradient.as_deref_mut() {
            let gradient = &mut gradient[n * classes..(n + 1) * classes];
            for (out, &logit) in gradient.iter_mut().zip(row) {
                *out = weight * ((logit - largest).exp() / sum);
            }
            gradient[label] -= weight;
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_classes() {
        let tally = softmax_cross_entropy(&[3.0; 8], &[0, 3], 1.0, None);
        assert!((tally.mean_loss() - 4f64.ln()).abs() < 1e-7);
        assert_eq!((tally.correct, tally.samples), (1, 2));
        assert_eq!(tally.accuracy(), 0.5);
    }

    #[test]
    fn huge_logits_do_not_overflow_and_nan_is_not_hidden() {
        let tally = softmax_cross_entropy(&[1e30, -1e30], &[0], 1.0, None);
        assert_eq!((tally.loss, tally.correct), (0.0, 1));
        assert!(softmax_cross_entropy(&[f32::NAN, 0.0], &[1], 1.0, None).loss.is_nan());
        assert!(softmax_cross_entropy(&[0.0, f32::NAN], &[0], 1.0, None).loss.is_nan());
    }

    /// Central differences in f64 of a plain f64 softmax. The gradient is computed in f32 with a handful of roundings
    /// of values at most `weight`, hence 8 units of 2^-24 times the weight; the differences err by less.
    #[test]
    fn gradient_equals_finite_differences() {
        let (logits, labels, weight) = ([0.5f32, -1.0, 2.0, 0.25, 0.0, -3.0], [2usize, 0], 0.5f32);
        let loss = |logits: &[f64]| -> f64 {
            let row = |n: usize| &logits[n * 3..n * 3 + 3];
            let one =
                |n: usize, label: usize| row(n).iter().map(|l| l.exp()).sum::<f64>().ln() - row(n)[label];
            f64::from(weight) * (one(0, labels[0]) + one(1, labels[1]))
        };
        let mut gradient = [0.0; 6];
        softmax_cross_entropy(&logits, &labels, weight, Some(&mut gradient));
        let h = 1e-5;
        for i in 0..6 {
            let mut moved = logits.map(f64::from);
            moved[i] += h;
            let up = loss(&moved);
            moved[i] -= 2.0 * h;
            let difference = (up - loss(&moved)) / (2.0 * h);
            assert!((f64::from(gradient[i]) - difference).abs() < 8.0 * 0.5 * 2f64.powi(-24) + 1e-9);
        }
    }
}
