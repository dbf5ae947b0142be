//! Counts of predictions per class or label, and precision, recall and F1.

use crate::targets::Targets;

/// For each of K classes or labels: the samples that have it, those for which it is predicted, and those with both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `[3, K]`: actual, predicted, correct.
    words: Vec<u64>,
    classes: usize,
}

/// The scores of a class or label. A score whose denominator is 0 is undefined: `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// The samples that have it.
    pub samples: u64,
    /// The samples for which it is predicted.
    pub predicted: u64,
    /// The share of these that have it.
    pub precision: Option<f64>,
    /// The share of the samples that have it for which it is predicted.
    pub recall: Option<f64>,
    /// The harmonic mean of both: 2 correct / (samples + predicted).
    pub f1: Option<f64>,
}

impl Counts {
    /// Nothing counted, for `classes` classes.
    pub fn new(classes: usize) -> Counts {
        Counts { words: vec![0; 3 * classes], classes }
    }

    /// K, the number of classes.
    pub fn len(&self) -> usize {
        self.classes
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.classes == 0
    }

    /// Counts a sample of the class `actual`.
    pub fn add_class(&mut self, actual: usize, predicted: usize) {
        self.words[actual] += 1;
        self.words[self.classes + predicted] += 1;
        self.words[2 * self.classes + actual] += u64::from(actual == predicted);
    }

    /// Counts samples with several labels: a target of 1 is one that a sample has, and a positive logit one that is
    /// predicted for it.
    pub fn add_labels(&mut self, outputs: &[f32], targets: &Targets) {
        let (actual, rest) = self.words.split_at_mut(self.classes);
        let (predicted, correct) = rest.split_at_mut(self.classes);
        for (outputs, values) in outputs.chunks(self.classes).zip(targets.values.chunks(self.classes)) {
            for (label, (&output, &value)) in outputs.iter().zip(values).enumerate() {
                let (has, is_predicted) = (value > 0.5, output > 0.0);
                actual[label] += u64::from(has);
                predicted[label] += u64::from(is_predicted);
                correct[label] += u64::from(has && is_predicted);
            }
        }
    }

    /// The scores of each class.
    pub fn scores(&self) -> Vec<ClassScores> {
        let [actual, predicted, correct] = [0, 1, 2].map(|row| &self.words[row * self.classes..]);
        let share = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
        let one = |class: usize| {
            let (samples, predicted, correct) = (actual[class], predicted[class], correct[class]);
            ClassScores {
                samples,
                predicted,
                precision: share(correct, predicted),
                recall: share(correct, samples),
                f1: share(2 * correct, samples + predicted),
            }
        };
        (0..self.classes).map(one).collect()
    }

    /// The mean of F1 over the classes that have one: those that some sample has or for which it is predicted.
    pub fn macro_f1(&self) -> Option<f64> {
        let defined: Vec<f64> = self.scores().into_iter().filter_map(|scores| scores.f1).collect();
        (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
    }

    pub(super) fn words(&self) -> Vec<u64> {
        self.words.clone()
    }

    pub(super) fn merge(&mut self, first: usize, words: &[u64]) {
        self.words.iter_mut().skip(first).zip(words).for_each(|(sum, word)| *sum += word);
    }
}
