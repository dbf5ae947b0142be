//! Softmax cross-entropy. Letters: N samples, K classes.

use super::soft_labels::SoftLabels;
use super::{Loss, Tally};
use crate::targets::{NO_LABEL, Targets};
use ternflock_tensor::{exp, for_each_row, prefetch_row_after, rows, rows_mut, vectorise};

/// Softmax cross-entropy: classification, and the next token of a language model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    soft: Option<SoftLabels>,
}

impl CrossEntropy {
    /// Cross-entropy against labels of which the share `smoothing` in [0, 1) is spread evenly over all K classes, with the
    /// weights `[K]` of classes; no weights: each is 1.
    pub fn new(weights: Vec<f32>, smoothing: f32) -> CrossEntropy {
        CrossEntropy { soft: SoftLabels::new(weights, smoothing) }
    }
}

impl Loss for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn compute(
        &self,
        outputs: &[f32],
        targets: &Targets,
        weight: f32,
        gradient: Option<&mut [f32]>,
    ) -> Tally {
        match &self.soft {
            None => softmax_cross_entropy(outputs, &targets.labels, weight, gradient),
            Some(soft) => over_rows(outputs, &targets.labels, gradient, |row, label, gradient| {
                vectorise(
                    #[inline(always)]
                    || soft.one_row(row, label, weight, gradient),
                )
            }),
        }
    }
}

/// The number of rows whose results are on the stack at a time. The threads share them.
const ROWS: usize = 64;

/// Cross-entropy of softmax(`logits` `[N, K]`) against `labels` `[N]`. With `gradient`, also writes `[N, K]`,
/// `weight * (softmax - one-hot)`: the gradient of `weight` times the sum of losses. Rows whose label is [`NO_LABEL`] are left
/// out. Logits of sequences, `[T, N, K]`, are T N rows.
///
/// The largest logit is subtracted first, so that no exponential overflows. Losses are added in the order of
/// the rows, for any number of threads.
///
/// # Panics
/// If a label is not a class.
pub fn softmax_cross_entropy(
    logits: &[f32],
    labels: &[usize],
    weight: f32,
    gradient: Option<&mut [f32]>,
) -> Tally {
    over_rows(logits, labels, gradient, |row, label, gradient| match gradient {
        None => vectorise(
            #[inline(always)]
            || one_row(row, label),
        ),
        Some(gradient) => vectorise(
            #[inline(always)]
            || one_row_and_gradient(row, label, weight, gradient),
        ),
    })
}

/// The tally of all rows. `one` has the loss of a row, and whether its label has the largest logit; it writes the row's
/// gradient.
fn over_rows(
    logits: &[f32],
    labels: &[usize],
    mut gradient: Option<&mut [f32]>,
    one: impl Fn(&[f32], usize, Option<&mut [f32]>) -> (f64, bool) + Sync,
) -> Tally {
    let mut tally = Tally::default();
    let Some(classes) = logits.len().checked_div(labels.len()).filter(|&classes| classes > 0) else {
        return tally;
    };
    for (part, (logits, labels)) in logits.chunks(ROWS * classes).zip(labels.chunks(ROWS)).enumerate() {
        let mut found = [(0.0, false); ROWS];
        let results = rows_mut(&mut found[..labels.len()], 1);
        match gradient.as_deref_mut() {
            None => for_each_row((rows(logits, classes), results), |n, (row, result)| {
                result[0] = one(row, labels[n], None);
            }),
            Some(gradient) => {
                let gradient = &mut gradient[part * ROWS * classes..][..logits.len()];
                let all = (rows(logits, classes), rows_mut(gradient, classes), results);
                for_each_row(all, |n, (row, gradient, result)| {
                    result[0] = one(row, labels[n], Some(gradient));
                });
            }
        }
        for ((loss, correct), _) in found.iter().zip(labels).filter(|(_, label)| **label != NO_LABEL) {
            tally += Tally { loss: *loss, correct: u64::from(*correct), samples: 1, ..Tally::default() };
        }
    }
    tally
}

/// The number of lanes for sums and maxima, which are then combined: a fixed order.
pub(super) const LANES: usize = 32;

/// The loss of one row, and whether its label has the largest logit.
#[inline(always)]
fn one_row(row: &[f32], label: usize) -> (f64, bool) {
    if label == NO_LABEL {
        return (0.0, false);
    }
    let largest = largest(row);
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, logit)| *sum += exp(logit - largest));
    }
    let rest: f32 = rest.iter().map(|logit| exp(logit - largest)).sum();
    judge(row, label, largest, sums.iter().sum::<f32>() + rest)
}

/// How far ahead the pass over a row prefetches to the L2 cache, in elements: one row, but at most this many, so that the
/// lines are still there when they are read.
const AHEAD: usize = 1 << 14;

/// Like [`one_row`], and also writes the gradient.
#[inline(always)]
fn one_row_and_gradient(row: &[f32], label: usize, weight: f32, gradient: &mut [f32]) -> (f64, bool) {
    if label == NO_LABEL {
        gradient.fill(0.0);
        return (0.0, false);
    }
    let largest = largest(row);
    let ((blocks, rest), (to_blocks, to_rest)) =
        (row.as_chunks::<LANES>(), gradient[..row.len()].as_chunks_mut::<LANES>());
    let (mut sums, ahead) = ([0.0f32; LANES], row.len().min(AHEAD));
    for (to, block) in to_blocks.iter_mut().zip(blocks) {
        prefetch_row_after(block, ahead);
        prefetch_row_after(to, ahead);
        for ((to, logit), sum) in to.iter_mut().zip(block).zip(&mut sums) {
            *to = exp(logit - largest);
            *sum += *to;
        }
    }
    to_rest.iter_mut().zip(rest).for_each(|(to, logit)| *to = exp(logit - largest));
    let sum = sums.iter().sum::<f32>() + to_rest.iter().sum::<f32>();
    let scale = weight / sum;
    gradient.iter_mut().for_each(|to| *to *= scale);
    gradient[label] -= weight;
    judge(row, label, largest, sum)
}

/// The largest number of a row. NaN is ignored here and shows in the sum.
#[inline(always)]
pub(super) fn largest(row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, &x)| *lane = if x > *lane { x } else { *lane });
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, &x| if x > largest { x } else { largest })
}

/// A row's loss from the sum of exponentials.
fn judge(row: &[f32], label: usize, largest: f32, sum: f32) -> (f64, bool) {
    let loss = f64::from(sum).ln() + f64::from(largest) - f64::from(row[label]);
    (loss, is_first_largest(row, label, largest))
}

/// Whether `label` has the largest logit; if logits are equal, the first counts as the largest.
pub(super) fn is_first_largest(row: &[f32], label: usize, largest: f32) -> bool {
    row[label] == largest && row[..label].iter().all(|&logit| logit < largest)
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
    fn rows_without_a_label_count_for_nothing() {
        let (logits, mut gradient, mut other) =
            ([1.0, 2.0, 3.0, 9.0, 9.0, 7.0], [f32::NAN; 6], [f32::NAN; 3]);
        let tally = softmax_cross_entropy(&logits, &[2, NO_LABEL], 0.5, Some(&mut gradient));
        assert_eq!(tally, softmax_cross_entropy(&logits[..3], &[2], 0.5, Some(&mut other)));
        assert_eq!((&gradient[..3], &gradient[3..]), (&other[..], &[0.0; 3][..]));
    }

    #[test]
    fn huge_logits_do_not_overflow_and_nan_is_not_hidden() {
        let tally = softmax_cross_entropy(&[1e30, -1e30], &[0], 1.0, None);
        assert_eq!((tally.loss, tally.correct), (0.0, 1));
        assert!(softmax_cross_entropy(&[f32::NAN, 0.0], &[1], 1.0, None).loss.is_nan());
        assert!(softmax_cross_entropy(&[0.0, f32::NAN], &[0], 1.0, None).loss.is_nan());
    }

    /// Compares many rows of many classes with the definition in double precision. The exponential of a logit
    /// has 4 roundings, and its difference from the largest, at most 8, adds 8 more. The sums over 32 lanes
    /// add those of 1000 / 32 additions per lane and of 32 additions over the lanes.
    #[test]
    fn large_batches_equal_the_definition_on_any_number_of_threads() {
        let (n, classes, weight) = (150, 1001, 0.25f32);
        let logits: Vec<f32> = (0..n * classes).map(|i| ((i * 7919) % 1600) as f32 / 200.0 - 4.0).collect();
        let labels: Vec<usize> = (0..n).map(|n| (n * 31) % classes).collect();
        let tolerance = (4.0 + 8.0 + 32.0 + 32.0) * 2f64.powi(-24);
        let mut tallies = Vec::new();
        for threads in [1, 2] {
            ternflock_tensor::set_threads(threads).unwrap();
            let mut gradient = vec![f32::NAN; logits.len()];
            let tally = softmax_cross_entropy(&logits, &labels, weight, Some(&mut gradient));
            let without = softmax_cross_entropy(&logits, &labels, weight, None);
            assert_eq!(tally, without);
            let (mut loss, mut correct) = (0.0, 0);
            for ((row, gradient), &label) in logits.chunks(classes).zip(gradient.chunks(classes)).zip(&labels)
            {
                let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
                loss += sum.ln() - f64::from(row[label]);
                let best = (1..classes).fold(0, |best, k| if row[k] > row[best] { k } else { best });
                correct += u64::from(best == label);
                for (k, &gradient) in gradient.iter().enumerate() {
                    let softmax = f64::from(row[k]).exp() / sum;
                    let exact = f64::from(weight) * (softmax - f64::from(u8::from(k == label)));
                    assert!((f64::from(gradient) - exact).abs() <= tolerance * f64::from(weight));
                }
            }
            assert!((tally.loss - loss).abs() <= tolerance * n as f64, "{} is not {loss}", tally.loss);
            assert_eq!((tally.correct, tally.samples), (correct, n as u64));
            tallies.push((tally, gradient));
        }
        ternflock_tensor::set_threads(1).unwrap();
        assert_eq!(tallies[0], tallies[1]);
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
