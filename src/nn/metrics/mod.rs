//! Metrics: what an evaluation counts in addition to the loss, and the figures that follow from it. The counts of parts
//! add up to those of the whole; those of classes and labels are whole numbers, and so are the same for any division of
//! the samples.

mod classes;
mod counts;
mod outputs;
#[cfg(test)]
mod tests;

pub use classes::{Classes, MOST_CONFUSED};
pub use counts::{ClassScores, Counts};
pub use outputs::{OutputScores, Outputs};

use std::ops::Range;

use crate::loss::Tally;
use crate::targets::Targets;

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The loss, and the samples.
    pub tally: Tally,
    /// The counts for metrics.
    pub measures: Measures,
}

/// What is counted, by the kind of the task.
#[derive(Clone, Debug, PartialEq)]
pub enum Measures {
    /// Nothing in addition to the tally: for the tokens of a text.
    Tokens,
    /// The predictions of each class.
    Classes(Classes),
    /// The predictions of each of several labels.
    Labels(Counts),
    /// The errors of each output.
    Values(Outputs),
}

/// The maximum number of words that [`Measures::merge`] takes at a time; records of 1 and of 4 words do not straddle its
/// multiples.
pub const WORDS: usize = 1024;

impl Measures {
    /// Counts the predictions of a batch: `outputs` `[N, K]` for `targets`.
    pub fn add(&mut self, outputs: &[f32], targets: &Targets) {
        match self {
            Measures::Tokens => {}
            Measures::Classes(classes) => classes.add(outputs, &targets.labels),
            Measures::Labels(counts) => counts.add_labels(outputs, targets),
            Measures::Values(errors) => errors.add(outputs, &targets.values),
        }
    }

    /// The same kind of counts, with nothing counted.
    #[must_use]
    pub fn emptied(&self) -> Measures {
        match self {
            Measures::Tokens => Measures::Tokens,
            Measures::Classes(classes) => Measures::Classes(classes.emptied()),
            Measures::Labels(counts) => Measures::Labels(Counts::new(counts.len())),
            Measures::Values(errors) => Measures::Values(errors.emptied()),
        }
    }

    /// All counts as words, for [`Measures::merge`] on another rank.
    pub fn words(&self) -> Vec<u64> {
        match self {
            Measures::Tokens => Vec::new(),
            Measures::Classes(classes) => classes.words(),
            Measures::Labels(counts) => counts.words(),
            Measures::Values(errors) => errors.words(),
        }
    }

    /// Adds `words`, those from number `first` on of measures over the samples `samples`, to these measures, which so far
    /// are over the samples before. `first` is a multiple of [`WORDS`]. Sums of errors are added in the order of the calls.
    pub fn merge(&mut self, first: usize, words: &[u64], samples: Range<u64>) {
        match self {
            Measures::Tokens => {}
            Measures::Classes(classes) => classes.merge(first, words),
            Measures::Labels(counts) => counts.merge(first, words),
            Measures::Values(errors) => errors.merge(first, words, samples),
        }
    }
}
