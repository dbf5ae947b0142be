//! Helpers for the wording of messages.

use std::borrow::Cow;

/// `count` and `noun`, in the singular or plural: with `"rank"`, "1 rank" or "2 ranks".
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {}", noun_for(count, noun))
}

/// `noun` in the form that follows `count`, for a number that is formatted separately, as in "1,234 samples".
pub fn noun_for(count: usize, noun: &str) -> String {
    let ending = match noun.chars().last() {
        _ if count == 1 => "",
        Some('s' | 'h' | 'x') => "es",
        _ => "s",
    };
    format!("{noun}{ending}")
}

/// The longest text that a message quotes in full, in bytes.
const LONGEST_QUOTE: usize = 200;

/// How many bytes a message quotes of a longer text.
const SHORT_QUOTE: usize = 120;

/// `text` as a message quotes it: in full, or only its beginning and its length if it is too long.
pub fn quote(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_QUOTE {
        return Cow::Borrowed(text);
    }
    let end = (0..=SHORT_QUOTE).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    Cow::Owned(format!("{}... ({} bytes)", &text[..end], text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_all_else_plural() {
        assert_eq!(plural(1, "rank"), "1 rank");
        assert_eq!(
            [0, 2, 11].map(|n| plural(n, "compute thread")).join(", "),
            "0 compute threads, 2 compute threads, 11 compute threads"
        );
        assert_eq!([1, 2].map(|n| plural(n, "process")).join(", "), "1 process, 2 processes");
        assert_eq!(noun_for(1, "sample") + &noun_for(0, "batch"), "samplebatches");
    }

    #[test]
    fn only_long_texts_are_shortened() {
        let longest = "ä".repeat(LONGEST_QUOTE / 2);
        assert_eq!(quote(&longest), longest);
        let long = format!("a{longest}");
        assert_eq!(quote(&long), format!("a{}... (201 bytes)", "ä".repeat(59)));
    }
}
