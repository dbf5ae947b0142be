//! Text: streams of tokens and their vocabulary.

mod clean;
mod convert;
mod count;
mod decode;
mod feed;
mod read;
mod room;
mod subset;
mod synthetic;
mod tokenize;
mod tokens;
mod vocabulary;

pub(super) use convert::{OF_BIBLE, OF_TREEBANK, bible, treebank};
pub use feed::{TextFeed, TextSet};
pub use read::{Corpus, Texts};
pub use subset::Subset;
pub use synthetic::{synthetic_feed, synthetic_set};
pub use tokenize::{read_text, tokenize};
pub use tokens::{END_OF_LINE, UNKNOWN};
pub use vocabulary::Vocabulary;

#[cfg(test)]
mod test {
    use ternflock_job::{Level, Punctuation, Text};

    /// The defaults of `[data]` for the user's own text.
    pub fn how(level: Level) -> Text {
        Text {
            train: None,
            valid: None,
            test: None,
            held_out: Some(0.05),
            level,
            lowercase: false,
            punctuation: Punctuation::Attached,
            vocabulary: 10_000,
            sequence_length: 35,
            evaluation_columns: 16,
        }
    }
}
