//! The subsets of a language data set, and how one text is cut into them.

use std::path::Path;

use ternflock_base::error::{Error, Result};

/// The subsets of a language data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subset {
    /// The training text, which determines the vocabulary.
    Train,
    /// The validation text, for evaluations during training.
    Valid,
    /// The test text, for the evaluation at the end.
    Test,
}

impl Subset {
    /// This subset of the lines of `text`, which the file at `path` holds: the last `share` of them are the test text, as many
    /// before them the validation text.
    ///
    /// # Errors
    /// When the lines are too few.
    pub(super) fn cut<'a>(self, path: &Path, text: &'a str, share: f64) -> Result<&'a str> {
        let lines = text.lines().count();
        let held = ((lines as f64 * share).round() as usize).max(1);
        if lines < 2 * held + 1 {
            let message = format!(
                "has {lines} lines, too few to split off {share} of them twice; set data.valid and data.test \
                 to separate texts"
            );
            return Err(Error::data(path, message));
        }
        let start = |line: usize| -> usize { text.split_inclusive('\n').take(line).map(str::len).sum() };
        let (valid, test) = (start(lines - 2 * held), start(lines - held));
        Ok(match self {
            Subset::Train => &text[..valid],
            Subset::Valid => &text[valid..test],
            Subset::Test => &text[test..],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_few_lines_is_not_cut() {
        let message = Subset::Test.cut(Path::new("x"), "a\nb\n", 0.1).unwrap_err().to_string();
        assert!(message.contains("has 2 lines") && message.contains("data.valid"), "{message}");
    }
}
