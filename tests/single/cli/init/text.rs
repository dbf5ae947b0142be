//! Texts.

use super::{place, trains};

/// Sentences of some words.
fn text(sentences: usize) -> String {
    let words = ["the", "old", "mill", "stands", "by", "a", "river", "and", "turns", "slowly"];
    let sentence = |number: usize| {
        let word = |at: usize| words[(number * (at + 3) + at * at) % words.len()];
        (0..9).map(word).collect::<Vec<_>>().join(" ") + ".\n"
    };
    (0..sentences).map(sentence).collect()
}

#[test]
fn a_short_text_is_read_by_character_and_a_long_one_by_word() {
    let place = place();
    place.write("short.txt", text(200));
    let job = trains(&place, &["short.txt"], "short.toml");
    for part in ["level = \"character\"", "preset = \"lstm-small\"", "train = \"short.txt\"", "clip_norm"] {
        assert!(job.contains(part), "{part}: {job}");
    }
    place.write("long.txt", text(10_000));
    let job = trains(&place, &["long.txt"], "long.toml");
    assert!(job.contains("level = \"word\"") && job.contains("punctuation = \"apart\""), "{job}");
}

#[test]
fn texts_that_are_none_are_refused() {
    let place = place();
    place.write("empty.txt", "");
    place.run("init empty.txt").refused(3, &["empty.txt: is empty"]);
    place.write("bytes.txt", b"\xff\xfe\x00".repeat(1000));
    place.run("init bytes.txt").refused(3, &["bytes.txt", "UTF-8"]);
    place.write("tiny.txt", "a b\n");
    place.run("init tiny.txt").refused(3, &["tiny.txt"]);
}
