//! Texts: how they are split into tokens.

use std::path::Path;

use super::proposal::Proposal;
use super::request::Request;
use ternflock_base::error::{Error, Result};

/// Texts with fewer bytes are read character by character: they have too few words to learn them.
const FEWEST_BYTES_OF_WORDS: u64 = 300_000;
/// Estimates: bytes per word, the size of a text relative to its gzip file, and how often a word occurs.
const BYTES_PER_WORD: u64 = 6;
const GZIP_RATIO: u64 = 3;
const REPEATS: u64 = 25;
/// The bounds of the vocabulary of words.
const WORDS: [u64; 2] = [1000, 10_000];
/// The most different characters.
const CHARACTERS: u64 = 200;

/// Proposes words for long texts and characters for short ones, by the size of the file.
pub fn propose(request: &Request) -> Result<Proposal> {
    let (path, name) = (request.path, request.name()?);
    let bytes = path.metadata().map_err(|error| Error::data(path, format!("cannot be read: {error}")))?.len();
    if bytes == 0 {
        return Err(Error::data(path, "is empty: a language model needs some thousands of words"));
    }
    let is_gzip = Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let bytes = if is_gzip { GZIP_RATIO * bytes } else { bytes };
    let mut proposal = Proposal::default();
    proposal.set("dataset", "text", "A UTF-8 text, for a language model.");
    proposal.set("train", name, "The path starts from the directory in which you run the program.");
    proposal.set(
        "held_out",
        0.05,
        "The share of the lines at the end that is the test text. As many lines before it are the validation text.",
    );
    let reads_words = bytes >= FEWEST_BYTES_OF_WORDS;
    if reads_words {
        proposal.tokens = (bytes / BYTES_PER_WORD) as usize;
        let words = (bytes / BYTES_PER_WORD / REPEATS).clamp(WORDS[0], WORDS[1]);
        proposal.set(
            "level",
            "word",
            "A token is a word; \"character\" needs no vocabulary and learns to spell.",
        );
        proposal.set(
            "vocabulary",
            words / 100 * 100,
            "The maximum number of different words; rarer ones become `<unk>`. A larger vocabulary needs a longer text.",
        );
        proposal.set("lowercase", true, "Capital letters become lower case, so that there are fewer words.");
        proposal.set(
            "punctuation",
            "apart",
            "Each punctuation mark is a token; \"attached\" leaves it in its word.",
        );
        proposal.set(
            "sequence_length",
            20,
            "Tokens through which gradients flow back. Longer ones train slower.",
        );
    } else {
        proposal.tokens = bytes as usize;
        proposal.choices.push("The text is short, so tokens are characters, not words.".into());
        proposal.set(
            "level",
            "character",
            "The text is short: a token is a character. \"word\" needs a longer text.",
        );
        proposal.set(
            "vocabulary",
            CHARACTERS,
            "The maximum number of different characters; rarer ones become `<unk>`.",
        );
        proposal.set(
            "sequence_length",
            50,
            "Tokens through which gradients flow back. Longer ones train slower.",
        );
        proposal.set(
            "evaluation_columns",
            4,
            "The parts that are read in parallel to evaluate; a short text allows only few.",
        );
    }
    Ok(proposal)
}
