//! Text without the control characters that a terminal interprets.

use std::borrow::Cow;
use std::fmt::Write;

/// Replaces every character that a terminal would interpret instead of showing it with `\uXXXX`: names and messages may
/// quote the contents of a file. In JSON, such characters occur only in strings, so the text keeps its meaning.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match is_obeyed(letter) {
            true => write!(shown, "\\u{:04x}", u32::from(letter)).unwrap_or_default(),
            false => shown.push(letter),
        }
    }
    shown.into()
}

/// Whether `letter` is a control character (C0 or C1, except tab and newline), a line or paragraph separator,
/// or a character that changes the text direction.
fn is_obeyed(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        letter => letter.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor_or_changes_a_colour() {
        for text in ["plain, größer, 日本語\n\ttab", ""] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
        assert_eq!(visible("\u{1b}[31mred\u{1b}[0m\r\u{7f}"), "\\u001b[31mred\\u001b[0m\\u000d\\u007f");
        assert_eq!(
            visible("\u{9b}2J \u{202e}txt.exe\u{2066}\u{200f}"),
            "\\u009b2J \\u202etxt.exe\\u2066\\u200f"
        );
        assert_eq!(visible("\u{2028}\u{2029}\u{61c}\0"), "\\u2028\\u2029\\u061c\\u0000");
    }

    /// serde_json escapes only C0.
    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"na\u{9b}me": "\u{1b}[31m \u{85} \u{202e} \"é\""});
        let text = value.to_string();
        assert!(text.contains('\u{9b}'));
        let shown = visible(&text);
        assert!(!shown.contains(is_obeyed), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
