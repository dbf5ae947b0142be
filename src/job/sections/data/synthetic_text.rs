//! The keys of `[data]` for random text.

use serde::Serialize;

use super::datasets::{SYNTHETIC_TEXT, refuse_of_others};
use super::sequences::{EVALUATION_COLUMNS, SEQUENCE_LENGTH};
use crate::syntax::{Definition, Given, Key, Of, SectionReader, at_least};

/// A random text, which needs no files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyntheticText {
    /// Training tokens.
    pub tokens: usize,
    /// V: the number of different tokens.
    pub vocabulary: usize,
    /// T: tokens per sequence, which is also the number of steps that gradients are propagated back through.
    pub sequence_length: usize,
    /// The number of columns that a text is cut into for evaluation.
    pub evaluation_columns: usize,
}

const OWN: Of = Of::kinds(&[SYNTHETIC_TEXT]);

const TOKENS: Key<usize> = Key::new(
    "tokens",
    Given(|| 1_000_000),
    "the number of training tokens; the validation and test texts each have a tenth as many. Small token \
     numbers are the most frequent ones, as in a sorted vocabulary. Half of the tokens follow from the token \
     before, so that there is something to learn.",
)
.of(OWN)
.within(at_least(1.0));

const VOCABULARY: Key<usize> = Key::new("vocabulary", Given(|| 10_000), "the number of different tokens.")
    .of(OWN)
    .within(at_least(2.0).and_at_most(SyntheticText::LARGEST_VOCABULARY as f64));

/// The key that no other dataset has.
pub(super) const KEYS: &[&dyn Definition] = &[&TOKENS];

/// The keys that texts in files have too.
pub(super) const SHARED_KEYS: &[&dyn Definition] = &[&VOCABULARY];

impl SyntheticText {
    /// The largest number of different tokens: token numbers are exact in single precision up to it.
    pub const LARGEST_VOCABULARY: usize = 1 << 24;

    /// Reads these keys of `section`; `None` for any other dataset.
    pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<SyntheticText> {
        if dataset != SYNTHETIC_TEXT {
            refuse_of_others(section, KEYS, dataset);
            return None;
        }
        Some(SyntheticText {
            tokens: section.read(&TOKENS),
            vocabulary: section.read(&VOCABULARY),
            sequence_length: section.read(&SEQUENCE_LENGTH),
            evaluation_columns: section.read(&EVALUATION_COLUMNS),
        })
    }
}
