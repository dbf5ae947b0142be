//! Texts that a trained language model reads: split as its training text was.

use std::path::Path;

use super::clean::{clean, endless_marks, lowercase};
use super::decode::decode;
use super::read::most_bytes;
use super::room::Room;
use super::tokens::{END_OF_LINE, tokens};
use crate::files;
use ternflock_base::error::{Error, Result};
use ternflock_job::Text;

/// The tokens of `text`, which is cleaned and split as `how` says. [`END_OF_LINE`] stands for each line end, so a last line
/// without one continues.
///
/// # Errors
/// [`Error::Usage`] if the text contains NUL, or too many combining marks in a row.
pub fn tokenize(text: &str, how: &Text) -> Result<Vec<String>> {
    let problem = match (text.find('\0'), endless_marks(text)) {
        (Some(at), _) => Some(format!("byte {at} is NUL")),
        (_, Some(at)) => Some(format!("byte {at}: more than 1000 combining marks follow each other")),
        (None, None) => None,
    };
    if let Some(problem) = problem {
        return Err(Error::Usage(format!("{problem}: this is not a text")));
    }
    let mut text = clean(text.to_owned(), &|_| Ok(()))?;
    if how.lowercase {
        text = lowercase(text, &|_| Ok(()))?;
    }
    let mut all = Vec::new();
    tokens(&text, how, &mut |token| all.push(token.to_owned()));
    if !text.ends_with('\n') && all.last().is_some_and(|last| last == END_OF_LINE) {
        all.pop();
    }
    Ok(all)
}

/// The text in the file at `path`, raw or compressed with gzip, cleaned as `how` says.
///
/// # Errors
/// [`Error::Data`] if it cannot be read, is not UTF-8, is empty or too large.
pub fn read_text(path: &Path, how: &Text) -> Result<String> {
    let whole = files::read_whole(path, most_bytes())?;
    let mut room = Room::default();
    room.read(path, &whole);
    room.allow(whole.bytes.len())?;
    decode(path, whole.bytes, how.lowercase, &|bytes| room.allow(bytes))
}

#[cfg(test)]
mod tests {
    use ternflock_job::{Level, Punctuation};

    use super::super::test::how;
    use super::*;

    #[test]
    fn a_line_goes_on_until_it_ends() {
        let word = how(Level::Word);
        for (text, tokens) in [
            ("", &[][..]),
            ("to be", &["to", "be"]),
            ("to be\n", &["to", "be", "<eos>"]),
            ("to\r\nbe", &["to", "<eos>", "be"]),
            ("\n\nbe <eos>", &["<eos>", "<eos>", "be", "<eos>"]),
        ] {
            assert_eq!(tokenize(text, &word).unwrap(), tokens, "{text:?}");
        }
        let apart = Text { lowercase: true, punctuation: Punctuation::Apart, ..how(Level::Word) };
        assert_eq!(tokenize("Be, E\u{301}!", &apart).unwrap(), ["be", ",", "\u{e9}", "!"]);
        assert_eq!(tokenize("a b\n", &how(Level::Character)).unwrap(), ["a", " ", "b", "<eos>"]);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let refusal = |text: &str| tokenize(text, &how(Level::Word)).unwrap_err().to_string();
        assert!(refusal("ab\0").starts_with("byte 2 is NUL"));
        assert!(refusal(&"\u{301}".repeat(1001)).starts_with("byte 0: more than 1000 combining"));
    }

    #[test]
    fn a_file_is_read_raw_or_compressed() {
        use std::io::Write;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a, b.txt");
        let how = Text { lowercase: true, ..how(Level::Word) };
        std::fs::write(&path, "One\r\nTWO").unwrap();
        assert_eq!(read_text(&path, &how).unwrap(), "one\ntwo");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"One\r\nTWO").unwrap();
        std::fs::write(&path, encoder.finish().unwrap()).unwrap();
        assert_eq!(read_text(&path, &how).unwrap(), "one\ntwo");
        std::fs::write(&path, b"\xff").unwrap();
        assert!(read_text(&path, &how).unwrap_err().to_string().contains("not UTF-8"));
    }
}
