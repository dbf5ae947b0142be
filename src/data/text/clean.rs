//! Converts a text to one form, independent of the system and keyboard with which it was written. Line ends,
//! the encoding of accents, and invisible characters must not make different words
//! (docs/adr/0019-unicode-text.md).

use std::borrow::Cow;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::room::Allow;
use ternflock_base::error::Result;

/// The maximum number of combining marks in a row. Scripts need a few. Normalisation keeps several copies of all of them in
/// memory.
const MOST_MARKS: usize = 1000;

/// `text` with lines that end in `\n`, in Unicode's normalisation form C, with ASCII hyphens and without
/// invisible characters that belong to no word. A text without any of these is returned as it is. `allow` is
/// called before memory is allocated.
///
/// # Errors
/// The error of `allow`.
pub fn clean(text: String, allow: Allow) -> Result<String> {
    if text.is_ascii() && !text.contains('\r') {
        return Ok(text);
    }
    let is_plain = |character| matches!(rewrite(character), Rewrite::Keep);
    match text.chars().all(is_plain) {
        true if is_nfc_quick(text.chars()) == IsNormalized::Yes => Ok(text),
        true => collected(text.chars().nfc(), text.len(), allow),
        false => collected(rewritten(&text).nfc(), text.len(), allow),
    }
}

/// The position of the first of more than [`MOST_MARKS`] combining marks in a row.
pub fn endless_marks(text: &str) -> Option<usize> {
    let (mut count, mut first) = (0, 0);
    if text.is_ascii() {
        return None;
    }
    for (at, character) in text.char_indices() {
        if character.is_ascii() || canonical_combining_class(character) == 0 {
            (count, first) = (0, at + character.len_utf8());
        } else {
            count += 1;
            if count > MOST_MARKS {
                return Some(first);
            }
        }
    }
    None
}

/// A string of `characters` with about `length` bytes. If there are more bytes, it grows by a quarter.
fn collected(characters: impl Iterator<Item = char>, length: usize, allow: Allow) -> Result<String> {
    allow(length)?;
    let mut out = String::with_capacity(length);
    for character in characters {
        make_room(&mut out, character.len_utf8(), allow)?;
        out.push(character);
    }
    Ok(out)
}

/// Makes room for `bytes` more bytes in `out`.
fn make_room(out: &mut String, bytes: usize, allow: Allow) -> Result<()> {
    if out.capacity() - out.len() < bytes {
        let more = (out.len() / 4).max(bytes).max(64);
        allow(2 * out.len() + more)?;
        out.reserve_exact(more);
    }
    Ok(())
}

/// `text` in lower case, normalised.
///
/// # Errors
/// The error of `allow`.
pub fn lowercase(mut text: String, allow: Allow) -> Result<String> {
    if text.is_ascii() {
        text.make_ascii_lowercase();
        return Ok(text);
    }
    allow(text.len())?;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let small = lowercase_line(line);
        make_room(&mut out, small.len(), allow)?;
        out.push_str(&small);
    }
    Ok(out)
}

/// `line` in lower case, normalised. A dotted capital I becomes a plain i, by Unicode's simple mapping; the full
/// mapping would leave a combining dot over it, which no other i has.
fn lowercase_line(line: &str) -> Cow<'_, str> {
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
    match is_nfc_quick(small.chars()) {
        IsNormalized::Yes => Cow::Owned(small),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(small.nfc().collect()),
    }
}

const DOTTED_I: char = '\u{130}';

/// The replacement of a character.
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

fn rewritten(text: &str) -> impl Iterator<Item = char> {
    let mut characters = text.chars().peekable();
    std::iter::from_fn(move || {
        loop {
            let character = characters.next()?;
            match rewrite(character) {
                Rewrite::Keep => return Some(character),
                Rewrite::Drop => {}
                Rewrite::Hyphen => return Some('-'),
                Rewrite::EndOfLine => return Some('\n'),
                Rewrite::Return if characters.peek() == Some(&'\n') => {}
                Rewrite::Return => return Some('\n'),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(text: &str) -> String {
        clean(text.to_owned(), &|_| Ok(())).unwrap()
    }

    fn lowercase(text: &str) -> String {
        super::lowercase(text.to_owned(), &|_| Ok(())).unwrap()
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
        // A mark attaches to the letter before it, even if characters between them were removed.
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
        // No compatibility mapping: ligatures and wide letters remain separate characters.
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
            prop_assert_eq!(&cleaned(&once), &once);
            let small = lowercase(&once);
            prop_assert_eq!(&small.nfc().collect::<String>(), &small);
        }

        #[test]
        fn plain_text_stays_as_it_is(text in "[ -~\n\t]{0,60}") {
            prop_assert_eq!(cleaned(&text), text.clone());
        }
    }
}
