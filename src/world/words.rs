//! Texts as the words that ranks exchange.

use ternflock_base::error::{Error, Result};

/// The length of `text` in bytes, then its bytes, eight per word.
pub fn to_words(text: &[u8]) -> Vec<u64> {
    let word = |part: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        u64::from_le_bytes(bytes)
    };
    std::iter::once(text.len() as u64).chain(text.chunks(8).map(word)).collect()
}

/// The same for at most 248 bytes of `text`. The number of words does not depend on its length.
pub fn to_record(text: &str) -> [u64; 32] {
    let mut record = [0; 32];
    let words = to_words(&text.as_bytes()[..text.len().min(8 * (record.len() - 1))]);
    record[..words.len()].copy_from_slice(&words);
    record
}

/// The inverse of [`to_words`]; words after the text are ignored.
pub fn to_text(words: &[u64]) -> Result<String> {
    let (length, words) = words.split_first().unwrap_or((&0, &[]));
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let text = usize::try_from(*length).ok().and_then(|length| bytes.get(..length));
    let text =
        text.ok_or_else(|| Error::Exchange("a rank sent a text that is shorter than it states".into()))?;
    Ok(String::from_utf8_lossy(text).into_owned())
}
