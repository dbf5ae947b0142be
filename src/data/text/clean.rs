//! Brings a text into one form, whatever system and keyboard it was written with. Line ends, the encoding of accents,
//! and invisible characters must not make different words (docs/adr/0019-unicode-text.md).

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// `text` with lines that end in `\n`, in Unicode's normalisation form C, with ASCII hyphens and without invisible characters
/// that belong to no word. A text without any of these is returned as it is.
pub fn clean(text: String) -> String {
    if text.is_ascii() && !text.contains('\r') {
        return text;
    }
    let is_plain = |character| matches!(rewrite(character), Rewrite::Keep);
    let text = match text.chars().all(is_plain) {
        true => text,
        false => rewritten(&text),
    };
    match nfc(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(composed) => composed,
    }
}

/// `line` in lower case, normalised. A dotted capital I becomes a plain i, by Unicode's simple mapping; the full
/// mapping would leave a combining dot over it, which no other i has.
pub fn lowercase(line: &str) -> Cow<'_, str> {
    if line.is_ascii() {
        return match line.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(line.to_ascii_lowercase()),
            false => Cow::Borrowed(line),
        };
    }
    let small = match line.contains(DOTTED_I) {
        true => line.replace(DOTTED_I, "i").to_lowercase(),
        false => line.to_lowercase(),
    };
    // Some small letters compose although their capitals do not: J and a caron stay two characters, j and a caron
    // become one.
    match nfc(&small) {
        Cow::Borrowed(_) => Cow::Owned(small),
        Cow::Owned(composed) => Cow::Owned(composed),
    }
}

const DOTTED_I: char = '\u{130}';

fn nfc(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(text.nfc().collect()),
    }
}

/// What becomes of a character.
enum Rewrite {
    Keep,
    Drop,
    Hyphen,
    /// `\r`, which is part of the line end if `\n` follows.
    Return,
    EndOfLine,
}

fn rewrite(character: char) -> Rewrite {
    match character {
        '\r' => Rewrite::Return,
        ..'\u{80}' => Rewrite::Keep,
        // Next line, line separator, paragraph separator.
        '\u{85}' | '\u{2028}' | '\u{2029}' => Rewrite::EndOfLine,
        // Hyphen, non-breaking hyphen.
        '\u{2010}' | '\u{2011}' => Rewrite::Hyphen,
        // Soft hyphen, word joiner, byte-order mark: where a line may be broken.
        '\u{ad}' | '\u{2060}' | '\u{feff}' => Rewrite::Drop,
        // Marks, embeddings, overrides and isolates of writing direction.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Rewrite::Drop
        }
        _ => Rewrite::Keep,
    }
}

fn rewritten(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match rewrite(character) {
            Rewrite::Keep => out.push(character),
            Rewrite::Drop => {}
            Rewrite::Hyphen => out.push('-'),
            Rewrite::EndOfLine => out.push('\n'),
            Rewrite::Return => {
                if characters.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(text: &str) -> String {
        clean(text.to_owned())
    }

    #[test]
    fn lines_end_alike_on_every_system() {
        for end in ["\n", "\r\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
            assert_eq!(cleaned(&format!("a{end}{end}b{end}")), "a\n\nb\n", "{end:?}");
        }
        assert_eq!(cleaned("a\r\r\nb\n\rc"), "a\n\nb\n\nc");
    }

    #[test]
    fn what_is_invisible_is_no_part_of_a_word() {
        for invisible in
            "\u{ad}\u{feff}\u{2060}\u{200e}\u{200f}\u{61c}\u{202a}\u{202e}\u{2066}\u{2069}".chars()
        {
            assert_eq!(cleaned(&format!("{invisible}wo{invisible}rd{invisible} ")), "word ", "{invisible:?}");
        }
        // A mark attaches to the letter before it, whatever was between them.
        assert_eq!(cleaned("e\u{ad}\u{301}"), "\u{e9}");
        // Joiners distinguish words, so they stay.
        assert_eq!(cleaned("می\u{200c}خواهم क्\u{200d}ष"), "می\u{200c}خواهم क्\u{200d}ष");
    }

    #[test]
    fn hyphens_are_one_character_and_dashes_stay() {
        assert_eq!(cleaned("a\u{2010}b\u{2011}c-d\u{2013}e\u{2014}"), "a-b-c-d\u{2013}e\u{2014}");
    }

    #[test]
    fn both_ways_to_store_an_accent_are_one() {
        assert_eq!(cleaned("cafe\u{301} \u{1112}\u{1161}\u{11ab}"), "caf\u{e9} \u{d55c}");
        assert_eq!(cleaned("\u{212b}\u{212a}"), "\u{c5}K", "Angstrom and Kelvin are a letter each");
        // No compatibility mapping: a ligature and a wide letter remain characters of their own.
        assert_eq!(cleaned("\u{fb01}\u{ff21}"), "\u{fb01}\u{ff21}");
    }

    #[test]
    fn small_letters_are_whole() {
        for (line, small) in [
            ("ABC é.", "abc é."),
            ("already small", "already small"),
            ("\u{130}STANBUL", "istanbul"),
            ("ΟΔΟΣ ΣΑΣ", "οδος σας"),
            ("J\u{30c}H\u{331}", "\u{1f0}\u{1e96}"),
            ("STRASSE ẞ", "strasse ß"),
        ] {
            assert_eq!(lowercase(line), small);
            assert_eq!(lowercase(&cleaned(&line.nfd().collect::<String>())), small, "from form D");
        }
    }

    proptest! {
        #[test]
        fn forms_c_and_d_of_a_text_are_one_and_cleaning_twice_changes_nothing(text in any::<String>()) {
            let once = cleaned(&text);
            prop_assert_eq!(&cleaned(&text.nfd().collect::<String>()), &once);
            prop_assert_eq!(&cleaned(&text.nfc().collect::<String>()), &once);
            prop_assert_eq!(&clean(once.clone()), &once);
            let small = lowercase(&once);
            prop_assert_eq!(small.nfc().collect::<String>(), small.as_ref());
        }

        #[test]
        fn plain_text_stays_as_it_is(text in "[ -~\n\t]{0,60}") {
            prop_assert_eq!(cleaned(&text), text.clone());
        }
    }
}
