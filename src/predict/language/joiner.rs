//! From tokens back to a text.

use ternflock_data::{END_OF_LINE, UNKNOWN};
use ternflock_job::{Level, Punctuation, Text};

/// Joins tokens to a text that splits into the same tokens again: characters follow each other, words stand between
/// spaces, and [`END_OF_LINE`] ends a line. Where punctuation is apart, a closing mark follows its word without a space.
#[derive(Clone, Debug)]
pub struct Joiner {
    level: Level,
    punctuation: Punctuation,
    starts_line: bool,
    /// Whether the last token was a special one, which a mark would turn into an ordinary word.
    follows_unknown: bool,
}

/// Marks that follow a word without a space.
const CLOSING: [&str; 9] = [",", ".", ";", ":", "!", "?", ")", "]", "}"];

impl Joiner {
    /// For a text that begins with a line, and that is split as `how` says.
    pub fn new(how: &Text) -> Joiner {
        Joiner { level: how.level, punctuation: how.punctuation, starts_line: true, follows_unknown: false }
    }

    /// Appends the next `token` to `text`.
    pub fn push(&mut self, token: &str, text: &mut String) {
        if token == END_OF_LINE {
            text.push('\n');
            self.starts_line = true;
            return;
        }
        let can_close = self.punctuation == Punctuation::Apart && !self.follows_unknown;
        let closes = can_close && CLOSING.contains(&token);
        if self.level == Level::Word && !self.starts_line && !closes {
            text.push(' ');
        }
        text.push_str(token);
        self.starts_line = false;
        self.follows_unknown = token == UNKNOWN;
    }

    /// Whether the text ends with a line.
    pub fn is_at_line_start(&self) -> bool {
        self.starts_line
    }
}
