//! From the bytes of a file to a text, or why they are none.

use std::path::Path;

use super::clean::{clean, endless_marks, lowercase};
use super::room::Allow;
use ternflock_base::error::{Error, Result};

/// The text of the file at `path`, which holds `bytes`, cleaned.
///
/// # Errors
/// When it is not UTF-8, or no text.
pub(super) fn decode(path: &Path, bytes: Vec<u8>, is_lowercase: bool, allow: Allow) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = line_of(&error.as_bytes()[..at]);
        let byte = error.as_bytes()[at];
        Error::data(
            path,
            format!(
                "not UTF-8: byte {at} (on line {line}) is {byte:#04x}, which is invalid there; convert the \
                 text, for example with `iconv -t UTF-8`"
            ),
        )
    })?;
    if let Some(at) = text.find('\0') {
        return Err(Error::data(path, format!("byte {at} is NUL: this is not a text; use one in UTF-8")));
    }
    if let Some(at) = endless_marks(&text) {
        let message =
            format!("byte {at}: more than 1000 combining marks follow each other: this is not a text");
        return Err(Error::data(path, message));
    }
    let text = clean(text, allow)?;
    if text.trim().is_empty() {
        return Err(Error::data(path, "is empty: there is no text in it; give one that has words"));
    }
    if is_lowercase { lowercase(text, allow) } else { Ok(text) }
}

/// The number, starting at 1, of the line after `before`.
fn line_of(before: &[u8]) -> usize {
    let text = String::from_utf8_lossy(before).into_owned();
    clean(text, &|_| Ok(())).map_or(1, |text| text.split('\n').count())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::files;

    /// The text in the file at `path`, of at most `limit` bytes.
    fn text_of(path: &Path, limit: u64) -> Result<String> {
        let bytes = files::read_whole(path, limit)?.bytes;
        decode(path, bytes, false, &|_| Ok(()))
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        let refusal = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            text_of(&path, u64::MAX).unwrap_err().to_string()
        };
        for (bytes, part) in [
            (&b""[..], "is empty"),
            (b" \n\n", "is empty"),
            (b"one\ntwo\nthr\xe9e\n", "byte 11 (on line 3) is 0xe9"),
            (b"cut \xc3", "byte 4 (on line 1) is 0xc3"),
            (b"one\rtwo\r\nthr\xe9e\n", "byte 12 (on line 3) is 0xe9"),
            (b"a\0b", "byte 1 is NUL"),
            (b"\xef\xbb\xbf\n", "is empty"),
            (b"\xff\xfea\0", "byte 0 (on line 1) is 0xff"),
            (
                ["ae".as_bytes(), "\u{301}".repeat(1001).as_bytes()].concat().as_slice(),
                "byte 2: more than 1000 combining",
            ),
        ] {
            let message = refusal(bytes);
            assert!(message.starts_with(&path.display().to_string()) && message.contains(part), "{message}");
        }
        fs::write(&path, "\u{feff}a\u{feff} b\r\n\u{feff}c").unwrap();
        let text = text_of(&path, u64::MAX).unwrap();
        assert_eq!(text, "a b\nc", "byte-order marks, of each file of several, are no part of the text");
        fs::write(&path, "ten bytes.").unwrap();
        let message = text_of(&path, 9).unwrap_err().to_string();
        assert!(message.contains("has more than 9 bytes"), "{message}");
        fs::remove_file(&path).unwrap();
        let message = text_of(&path, 9).unwrap_err().to_string();
        assert!(message.contains("cannot be read"), "{message}");
    }
}
