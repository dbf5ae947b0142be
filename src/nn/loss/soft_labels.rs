//! Cross-entropy against labels with weights, or of which a share is spread over all classes.

use super::cross_entropy::{LANES, is_first_largest, largest};
use crate::targets::NO_LABEL;
use ternflock_tensor::exp;

/// The target of a row is q_k = w_k ((1 - s) \[k = label\] + s / K), with the weight w_k of class k and the smoothing s. The
/// loss is -sum q_k ln softmax_k, that of PyTorch's `cross_entropy` with `reduction="none"`.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftLabels {
    /// `[K]`; empty: each is 1.
    weights: Vec<f32>,
    smoothing: f32,
}

impl SoftLabels {
    /// `None` if these are plain labels.
    pub fn new(weights: Vec<f32>, smoothing: f32) -> Option<SoftLabels> {
        (!weights.is_empty() || smoothing > 0.0).then_some(SoftLabels { weights, smoothing })
    }

    /// The loss of a row, and whether its label has the largest logit. Writes `weight` times the gradient.
    #[inline(always)]
    pub fn one_row(
        &self,
        row: &[f32],
        label: usize,
        weight: f32,
        gradient: Option<&mut [f32]>,
    ) -> (f64, bool) {
        if label == NO_LABEL {
            gradient.into_iter().for_each(|gradient| gradient.fill(0.0));
            return (0.0, false);
        }
        let largest = largest(row);
        let own = (1.0 - self.smoothing) * self.weights.get(label).copied().unwrap_or(1.0);
        let spread = self.smoothing / row.len() as f32;
        let all = match &self.weights[..] {
            [] => row.len() as f32,
            weights => weights.iter().sum(),
        };
        // The sum of the row's q.
        let mass = own + spread * all;
        let sum = sum(row, |logit| exp(logit - largest));
        if let Some(gradient) = gradient {
            let scale = weight * mass / sum;
            for (to, logit) in gradient.iter_mut().zip(row) {
                *to = scale * exp(logit - largest);
            }
            if spread > 0.0 {
                let spread = weight * spread;
                match &self.weights[..] {
                    [] => gradient.iter_mut().for_each(|to| *to -= spread),
                    weights => gradient.iter_mut().zip(weights).for_each(|(to, w)| *to -= spread * w),
                }
            }
            gradient[label] -= weight * own;
        }
        let mut loss = f64::from(mass) * f64::from(sum).ln()
            + f64::from(own) * (f64::from(largest) - f64::from(row[label]));
        if spread > 0.0 {
            let below = match &self.weights[..] {
                [] => self::sum(row, |logit| largest - logit),
                weights => row.iter().zip(weights).map(|(logit, w)| w * (largest - logit)).sum(),
            };
            loss += f64::from(spread) * f64::from(below);
        }
        (loss, is_first_largest(row, label, largest))
    }
}

/// The sum of `one` over a row, over [`LANES`] lanes and then over these.
#[inline(always)]
fn sum(row: &[f32], one: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, &logit)| *sum += one(logit));
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&logit| one(logit)).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::super::{CrossEntropy, Loss, softmax_cross_entropy};
    use crate::targets::{NO_LABEL, Targets};

    /// The definition in f64: the loss of each row.
    fn definition(logits: &[f64], labels: &[usize], weights: &[f64], smoothing: f64) -> f64 {
        let classes = weights.len();
        let one = |(row, &label): (&[f64], &usize)| -> f64 {
            let logarithm = row.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            let target = |k| {
                weights[k]
                    * ((1.0 - smoothing) * f64::from(u8::from(k == label)) + smoothing / classes as f64)
            };
            (0..classes).map(|k| target(k) * (logarithm - row[k])).sum()
        };
        logits.chunks(classes).zip(labels).map(one).sum()
    }

    /// Logits of up to 4 in steps that f32 holds; 150 rows, so that several blocks of rows are used.
    fn example(classes: usize) -> (Vec<f32>, Vec<usize>, Vec<f32>) {
        let logits = (0..150 * classes).map(|i| ((i * 7919) % 1600) as f32 / 200.0 - 4.0).collect();
        let labels = (0..150).map(|n| (n * 31) % classes).collect();
        let weights = (0..classes).map(|k| (k % 5) as f32 / 2.0).collect();
        (logits, labels, weights)
    }

    /// Sums over at most 1001 classes of numbers up to 2 * 8, in f32 over 32 lanes; every term has a few roundings.
    #[test]
    fn the_loss_is_the_definition_and_its_gradient_the_difference() {
        for classes in [2, 3, 31, 64, 1001] {
            let (logits, labels, weights) = example(classes);
            let exact: Vec<f64> = logits.iter().copied().map(f64::from).collect();
            let ones = vec![1.0; classes];
            for (given, used, smoothing) in [
                (weights.clone(), &weights, 0.0),
                (Vec::new(), &ones, 0.125),
                (weights.clone(), &weights, 0.125),
            ] {
                let used: Vec<f64> = used.iter().copied().map(f64::from).collect();
                let loss = CrossEntropy::new(given, smoothing);
                let (targets, mut gradient) =
                    (Targets::of_labels(labels.clone()), vec![f32::NAN; logits.len()]);
                let tally = loss.compute(&logits, &targets, 0.5, Some(&mut gradient));
                let expected = definition(&exact, &labels, &used, f64::from(smoothing));
                assert!(
                    (tally.loss - expected).abs() <= 150.0 * 2f64.powi(-17),
                    "{} is not {expected}",
                    tally.loss
                );
                assert_eq!(loss.compute(&logits, &targets, 0.5, None), tally);
                let plain = softmax_cross_entropy(&logits, &labels, 0.5, None);
                assert_eq!((tally.correct, tally.samples), (plain.correct, plain.samples));
                for i in (0..logits.len()).step_by(logits.len() / 40 + 1) {
                    let row = i / classes * classes;
                    let at = |by: f64| {
                        let mut moved = exact[row..row + classes].to_vec();
                        moved[i - row] += by;
                        definition(&moved, &labels[row / classes..][..1], &used, f64::from(smoothing))
                    };
                    let difference = 0.5 * (at(1e-5) - at(-1e-5)) / 2e-5;
                    assert!(
                        (f64::from(gradient[i]) - difference).abs() < 1e-6,
                        "{} {difference}",
                        gradient[i]
                    );
                }
            }
        }
    }

    #[test]
    fn without_weights_and_smoothing_it_is_the_plain_loss() {
        let (logits, labels, _) = example(9);
        let targets = Targets::of_labels(labels.clone());
        let plain = softmax_cross_entropy(&logits, &labels, 0.25, None);
        assert_eq!(CrossEntropy::new(Vec::new(), 0.0).compute(&logits, &targets, 0.25, None), plain);
        let weighted = CrossEntropy::new(vec![1.0; 9], 0.0).compute(&logits, &targets, 0.25, None);
        assert!((weighted.loss - plain.loss).abs() < 1e-9 * plain.loss);
    }

    #[test]
    fn the_bits_do_not_depend_on_the_number_of_threads() {
        let (logits, labels, weights) = example(1001);
        let (loss, targets) = (CrossEntropy::new(weights, 0.1), Targets::of_labels(labels));
        let of = |threads| {
            ternflock_tensor::set_threads(threads).unwrap();
            let mut gradient = vec![0.0; logits.len()];
            (loss.compute(&logits, &targets, 0.25, Some(&mut gradient)), gradient)
        };
        let (one, two) = (of(1), of(2));
        ternflock_tensor::set_threads(1).unwrap();
        assert_eq!(one, two);
    }

    #[test]
    fn rows_without_a_label_count_for_nothing_and_nan_is_not_hidden() {
        let loss = CrossEntropy::new(vec![1.0, 0.0], 0.1);
        let (targets, mut gradient) = (Targets::of_labels(vec![NO_LABEL, 0]), [f32::NAN; 4]);
        let tally = loss.compute(&[1e30, -1e30, 1e30, -1e30], &targets, 1.0, Some(&mut gradient));
        assert_eq!((tally.samples, tally.correct), (1, 1));
        assert_eq!(gradient[..2], [0.0; 2]);
        assert!(tally.loss.is_finite() && gradient.iter().all(|g| g.is_finite()), "{tally:?} {gradient:?}");
        for row in [[f32::NAN, 0.0], [0.0, f32::NAN]] {
            assert!(loss.compute(&row, &Targets::of_labels(vec![1]), 1.0, None).loss.is_nan());
        }
    }
}
