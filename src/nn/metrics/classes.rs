//! The predictions of a classifier.

use super::counts::Counts;
use crate::targets::NO_LABEL;

/// The maximum number of classes of a confusion matrix, which then takes 8 MB.
pub const MOST_CONFUSED: usize = 1000;

/// The predictions for K classes: the class with the largest output, the first of equals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    counts: Counts,
    /// Samples whose class is among the five with the largest outputs.
    top_5: u64,
    /// `[K, K]`: samples by class and by prediction; empty if it is not counted.
    confusion: Vec<u64>,
}

impl Classes {
    /// Nothing counted, for `classes` classes. With `confusion`, also counts a confusion matrix, unless there are more than
    /// [`MOST_CONFUSED`] classes.
    pub fn new(classes: usize, confusion: bool) -> Classes {
        let pairs = if confusion && classes <= MOST_CONFUSED { classes * classes } else { 0 };
        Classes { counts: Counts::new(classes), top_5: 0, confusion: vec![0; pairs] }
    }

    /// The counts of each class.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The number of samples whose class is among the five with the largest outputs. Of equal outputs, the first counts as
    /// the largest.
    pub fn top_5(&self) -> u64 {
        self.top_5
    }

    /// The confusion matrix: for each class, the samples of it by the class that is predicted. `None` if it was not
    /// counted.
    pub fn confusion(&self) -> Option<Vec<&[u64]>> {
        (!self.confusion.is_empty()).then(|| self.confusion.chunks(self.counts.len()).collect())
    }

    pub(super) fn add(&mut self, outputs: &[f32], labels: &[usize]) {
        let classes = self.counts.len();
        for (row, &label) in outputs.chunks(classes).zip(labels).filter(|(_, label)| **label != NO_LABEL) {
            let largest =
                (1..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best });
            self.counts.add_class(label, largest);
            let own = row[label];
            let before = row[..label].iter().filter(|&&output| output >= own).count();
            let after = row[label + 1..].iter().filter(|&&output| output > own).count();
            self.top_5 += u64::from(before + after < 5);
            if let Some(pair) = self.confusion.get_mut(label * classes + largest) {
                *pair += 1;
            }
        }
    }

    pub(super) fn emptied(&self) -> Classes {
        Classes::new(self.counts.len(), !self.confusion.is_empty())
    }

    pub(super) fn words(&self) -> Vec<u64> {
        let mut words = self.counts.words();
        words.push(self.top_5);
        words.extend(&self.confusion);
        words
    }

    pub(super) fn merge(&mut self, first: usize, words: &[u64]) {
        let (own, confusion) = (3 * self.counts.len(), &mut self.confusion);
        self.counts.merge(first, words);
        for (at, word) in (first..).zip(words).filter(|(at, _)| *at >= own) {
            match at - own {
                0 => self.top_5 += word,
                pair => confusion[pair - 1] += word,
            }
        }
    }
}
