//! What `[data]` says of a text that is made up.

use serde::Serialize;

use super::read::Section;
use super::text::{evaluation_columns, sequence_length};
use super::value::Rule;

/// The name of the dataset of such texts.
pub(super) const SYNTHETIC_TEXT: &str = "synthetic-text";

/// A text that no file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyntheticText {
    /// Tokens to train on.
    pub tokens: usize,
    /// V: the kinds of tokens.
    pub vocabulary: usize,
    /// T: tokens a sequence, and so the steps that gradients are propagated back through.
    pub sequence_length: usize,
    /// Columns that a text to evaluate on is cut into.
    pub evaluation_columns: usize,
}

impl SyntheticText {
    /// The most kinds of tokens: their numbers are exact in single precision.
    pub const LARGEST_VOCABULARY: usize = 1 << 24;

    /// The keys of `section` for that; `tokens` is no other dataset's.
    pub(super) fn read(section: &mut Section, dataset: &str) -> Option<SyntheticText> {
        section.know("tokens");
        if dataset != SYNTHETIC_TEXT {
            if section.has("tokens") {
                let message = format!(
                    "data.tokens belongs to dataset = \"{SYNTHETIC_TEXT}\"; this one is \"{dataset}\""
                );
                section.refuse("tokens", message);
            }
            return None;
        }
        let kinds = Rule::new("at least 2 and at most 16777216", |&kinds: &usize| {
            (2..=Self::LARGEST_VOCABULARY).contains(&kinds)
        });
        Some(SyntheticText {
            tokens: section.or("tokens", 1_000_000, &Rule::<usize>::SOME),
            vocabulary: section.or("vocabulary", 10_000, &kinds),
            sequence_length: sequence_length(section),
            evaluation_columns: evaluation_columns(section),
        })
    }
}
