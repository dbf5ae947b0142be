//! Texts, and data from a pipe.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _, repeat};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use ternflock::data::{Subset, Texts};
use ternflock::job::{Data, Level, Punctuation, Text};

use crate::heap::{bounded, scales};
use crate::made::{Files, gzip};

/// How a text is read: by character and unchanged, or by word, in lower case and with separate punctuation.
fn ways() -> [Text; 2] {
    let by_character = Text {
        train: Some("a".into()),
        valid: None,
        test: None,
        held_out: Some(0.05),
        level: Level::Character,
        lowercase: false,
        punctuation: Punctuation::Attached,
        vocabulary: 1 << 24,
        sequence_length: 5,
        evaluation_columns: 1,
    };
    let level = Level::Word;
    [Text { lowercase: true, level, punctuation: Punctuation::Apart, ..by_character.clone() }, by_character]
}

/// Reads all parts of the text `a` and counts its tokens; otherwise returns the message.
fn read(how: &Text, directory: Option<&Path>) -> Result<usize, String> {
    let data = Data {
        samples: None,
        arrays: None,
        dataset: "text".into(),
        dir: None,
        split: None,
        mean: None,
        std: None,
        augment: None,
        idx: None,
        synthetic: None,
        synthetic_text: None,
        text: Some(how.clone()),
    };
    let mut texts = Texts::new(&data, how, directory);
    let corpus = texts.corpus().map_err(|error| error.to_string())?;
    for subset in [Subset::Valid, Subset::Test] {
        texts.set(subset, &corpus.vocabulary).map_err(|error| error.to_string())?;
    }
    Ok(corpus.tokens.len())
}

/// Reads the text `content` in both ways.
#[track_caller]
fn read_both(what: &str, content: &[u8]) -> [Result<usize, String>; 2] {
    let files = Files::new();
    files.write("a", content);
    // The text is one of several: the others are its last lines.
    ways().map(|how| bounded(what, files.size(), || read(&how, Some(files.path()))).0)
}

/// Different words, one after another.
fn different_words(count: usize) -> String {
    let mut text = String::new();
    (0..count).for_each(|word| {
        write!(text, "{word:06x}").unwrap();
        text.push(if word % 8 == 0 { '\n' } else { ' ' });
    });
    text
}

/// Words of three letters: this gives the most different words for a number of bytes.
fn short_words() -> Vec<u8> {
    let letters: Vec<u8> = (b'!'..=b'~').filter(|letter| !letter.is_ascii_uppercase()).collect();
    let words = letters.iter().flat_map(|&a| letters.iter().map(move |&b| (a, b)));
    let words = words
        .flat_map(|(a, b)| letters.iter().map(move |&c| [a, b, c, if c == b'!' { b'\n' } else { b' ' }]));
    words.flatten().collect()
}

const END: &str = "\na b\na b\na b\n";

pub fn stay_in_bounds() {
    for (what, content) in [
        ("newlines", vec![b'\n'; 3_000_000]),
        ("a long line", [&vec![b'a'; 6_000_000], END.as_bytes()].concat()),
        ("a long line of words", [&b"A b. ".repeat(1_200_000), END.as_bytes()].concat()),
        ("a long line of Greek", ["Σ\u{1e9e}\u{130}.".repeat(400_000).as_bytes(), END.as_bytes()].concat()),
        ("carriage returns", b"a\r\n".repeat(1_000_000)),
        ("what becomes longer", ["\u{1d160}".repeat(700_000).as_bytes(), END.as_bytes()].concat()),
        ("different words", different_words(800_000).into_bytes()),
        ("short words", short_words()),
        ("accents", ["e\u{301}\u{323}\u{344} ".repeat(300_000).as_bytes(), END.as_bytes()].concat()),
    ] {
        for outcome in read_both(what, &[b"a b\n", &content[..]].concat()) {
            assert!(outcome.is_ok(), "{what}: {outcome:?}");
        }
    }
    for outcome in
        read_both("marks without end", ["e", &"\u{301}".repeat(1_200_000), END].concat().as_bytes())
    {
        let message = outcome.unwrap_err();
        assert!(message.contains("byte 1: more than 1000 combining marks"), "{message}");
    }
    compressed();
    piped();
    scaled();
}

/// Some expand too much. Others expand to an acceptable text with too many tokens or words.
fn compressed() {
    let member = gzip(&b"a"[..]);
    for (what, content, part) in [
        ("compressed newlines", gzip(repeat(b'\n').take(300_000_000)), "far more than data sets"),
        ("few compressed newlines", gzip((&b"a"[..]).chain(repeat(b'\n').take(11_900_000))), "as a text"),
        ("compressed words", gzip(different_words(600_000).as_bytes()), ""),
        ("too many compressed words", gzip(different_words(1_500_000).as_bytes()), "as a text"),
        ("a gzip of a gzip", gzip(&gzip(&b"a"[..])[..]), "compressed with gzip twice"),
        ("many members", [&member.repeat(100_000), &gzip(END.as_bytes())[..]].concat(), ""),
        ("members with nothing", gzip(&b""[..]).repeat(100_000), "is empty"),
    ] {
        let [by_word, by_character] = read_both(what, &content);
        // By character there are few different tokens.
        let both = [Some(by_word), Some(by_character).filter(|_| what != "too many compressed words")];
        for outcome in both.into_iter().flatten() {
            let message = outcome.err().unwrap_or_default();
            assert!(message.contains(part) && message.is_empty() == part.is_empty(), "{what}: {message}");
            assert!(!part.contains(" as ") || message.contains("gzip -dc"), "{message}");
        }
    }
}

/// A pipe has no size: the bytes read count as its size.
fn piped() {
    for (what, content, is_right) in [
        ("piped newlines", [&b"a"[..], &[b'\n'; 3_000_000]].concat(), true),
        ("piped words", different_words(500_000).into_bytes(), true),
        ("piped and compressed", gzip(different_words(500_000).as_bytes()), true),
        ("piped and far too large", gzip(repeat(b'\n').take(300_000_000)), false),
    ] {
        for how in ways() {
            let (reader, mut writer) = std::io::pipe().unwrap();
            let how = Text { train: Some(format!("/dev/fd/{}", reader.as_raw_fd()).into()), ..how };
            let length = content.len() as u64;
            std::thread::scope(|scope| {
                // The reader may stop early.
                scope.spawn(|| drop((writer.write_all(&content), writer)));
                let (outcome, _) = bounded(what, length, || read(&how, None));
                drop(reader);
                assert_eq!(outcome.is_ok(), is_right, "{what}: {outcome:?}");
            });
        }
    }
}

/// Four times the text takes about four times as long.
fn scaled() {
    let long_line = |length| [&b"aB c. ".repeat(length), END.as_bytes()].concat();
    let marks = |length| ["e\u{301}".repeat(500).repeat(length).as_bytes(), END.as_bytes()].concat();
    let flags = |length| ["🇮🇳👩\u{200d}🚀".repeat(length).as_bytes(), END.as_bytes()].concat();
    for (what, contents) in [
        ("newlines", [1, 4].map(|times| [&b"a"[..], &vec![b'\n'; times * 500_000]].concat())),
        ("words", [1, 4].map(|times| different_words(times * 30_000).into_bytes())),
        ("a long line", [1, 4].map(|times| long_line(times * 50_000))),
        ("a word of many accents", [1, 4].map(|times| marks(times * 200))),
        ("a word of flags", [1, 4].map(|times| flags(times * 10_000))),
        ("members", [1, 4].map(|times| gzip(END.as_bytes()).repeat(times * 3_000))),
    ] {
        for how in ways() {
            let files = contents.each_ref().map(|content| {
                let files = Files::new();
                files.write("a", content);
                files
            });
            let time = |files: &Files| -> Duration {
                let (outcome, time) = bounded(what, files.size(), || read(&how, Some(files.path())));
                outcome.unwrap();
                time
            };
            scales(what, &mut || time(&files[0]), &mut || time(&files[1]));
        }
    }
}
