//! Cuts the words of a window row into tiles.

use crate::conv::pass::Pass;
use crate::tiles::WORDS;

/// The tile products that add one row of the window: as few as possible, each with the same number of words.
///
/// If the words of a row cannot be cut evenly, the last step begins before the end of the previous step. The words that
/// belong to both have a weight of zero in the last step. Unlike padding the row, this takes no extra memory or time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    /// Words per pixel; a word is a pair of channels.
    pub words: usize,
    /// Words per window row.
    pub run: usize,
    /// Steps per window row.
    pub count: usize,
    /// Words per step; at least 1.
    pub size: usize,
}

impl Steps {
    /// The steps for the window rows of `pass`.
    pub fn of(pass: &Pass) -> Steps {
        let words = pass.channels.div_ceil(2);
        let run = words * pass.column.taps;
        let count = run.div_ceil(WORDS);
        Steps { words, run, count, size: run.div_ceil(count.max(1)).max(1) }
    }

    /// The first word of a step.
    #[inline(always)]
    pub fn first(&self, step: usize) -> usize {
        (step * self.size).min(self.run - self.size)
    }

    /// The words at the beginning of a step that the previous step has added.
    pub fn added(&self, step: usize) -> usize {
        step * self.size - self.first(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::pass;
    use crate::conv::tests::square;

    #[test]
    fn steps_add_each_word_once_and_are_as_few_as_possible() {
        for channels in 1..70 {
            for taps in 1..12 {
                let steps = Steps::of(&pass::forward(&square(channels, 20, taps, 1, 0), channels, 1));
                let words = |step| steps.first(step) + steps.added(step)..steps.first(step) + steps.size;
                let all: Vec<usize> = (0..steps.count).flat_map(words).collect();
                assert_eq!(all, (0..channels.div_ceil(2) * taps).collect::<Vec<_>>(), "{steps:?}");
                assert!((0..steps.count).all(|step| !words(step).is_empty()), "{steps:?}");
                assert!(steps.size <= WORDS && steps.count == steps.run.div_ceil(WORDS), "{steps:?}");
            }
        }
    }
}
