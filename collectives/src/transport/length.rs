//! The length of a message that a rank awaits.

use std::fmt;

use crate::{Error, Result};

/// The length that an awaited message must have, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// This number.
    Exactly(usize),
    /// Any number up to this one: the sender decides.
    AtMost(usize),
}

impl Length {
    /// The maximum length.
    pub fn max(self) -> usize {
        let (Length::Exactly(words) | Length::AtMost(words)) = self;
        words
    }

    /// For transports: an error if a message of `got_words` from rank `peer` is not what rank `rank` awaits.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`].
    pub fn check(self, rank: usize, peer: usize, got_words: usize) -> Result<()> {
        let is_right = match self {
            Length::Exactly(words) => got_words == words,
            Length::AtMost(words) => got_words <= words,
        };
        if is_right { Ok(()) } else { Err(Error::LengthMismatch { rank, peer, expected: self, got_words }) }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (limit, words) = match self {
            Length::Exactly(words) => ("", words),
            Length::AtMost(words) => ("at most ", words),
        };
        write!(f, "{limit}{words} {}", if *words == 1 { "word" } else { "words" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_checked_and_read_well() {
        let admitted = |length: Length| (0..5).filter(|words| length.check(0, 1, *words).is_ok()).count();
        assert_eq!((admitted(Length::Exactly(3)), admitted(Length::AtMost(3))), (1, 4));
        let text = Length::AtMost(1).check(0, 1, 2).expect_err("too long").to_string();
        assert!(text.starts_with("rank 0 expected at most 1 word from rank 1 and got 2: "), "{text}");
        assert_eq!(Length::Exactly(12).to_string(), "12 words");
    }
}
