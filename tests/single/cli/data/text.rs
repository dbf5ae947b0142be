//! Text files: files that are not text, files from other systems, and unknown words.

use support::program::Place;

use super::LANGUAGE;
use crate::PROGRAM;

#[test]
fn texts_that_are_none_are_refused() {
    let place = Place::new(PROGRAM);
    place.write("text.toml", LANGUAGE);
    std::fs::create_dir(place.path("directory")).unwrap();
    let lines = "one of these\n".repeat(100);
    for (bytes, parts) in [
        (b"".to_vec(), &["is empty"][..]),
        (b" \n\t\r\n".to_vec(), &["is empty"]),
        ([lines.as_bytes(), b"caf\xe9\n"].concat(), &["not UTF-8: byte 1303 (on line 101) is 0xe9", "iconv"]),
        ([lines.as_bytes(), b"a\0b\n"].concat(), &["byte 1301 is NUL"]),
        (b"a b\nc\nd\ne\n".to_vec(), &["has 5 tokens, but a batch of 4 sequences of 5 needs 24"]),
        (b"a ".repeat(500), &["has 1 lines, too few to split off", "data.valid and data.test"]),
    ] {
        place.write("a.txt", bytes);
        place.run("train text.toml --run-dir run").refused(3, &[&["a.txt: "], parts].concat());
    }
    place
        .run("train text.toml --run-dir run --set data.train=directory")
        .refused(3, &["directory: cannot be read"]);
    for (set, parts) in [
        ("data.sequence_length=0", &["data.sequence_length must be at least 1"][..]),
        ("data.vocabulary=2", &["text.toml:19: ", "5x3", "2 words", "5x2"]),
    ] {
        place.write("a.txt", &lines);
        place.run(&format!("train text.toml --run-dir run --set {set}")).refused(2, parts);
    }
    let long = "train text.toml --run-dir run --set data.sequence_length=1000000000";
    place.run(long).refused(3, &["4 sequences of 1000000000 needs 4000000004"]);
    assert_eq!(place.names("."), ["a.txt", "directory", "text.toml", "tiny.toml"]);
}

/// Line endings and the byte-order mark of some editors do not change a text; a single distinct word is
/// enough.
#[test]
fn texts_of_other_systems_are_the_same_texts() {
    let lines = "word word\n".repeat(100);
    let forms = [
        lines.clone(),
        lines.replace('\n', "\r\n"),
        lines.replace('\n', "\r"),
        format!("\u{feff}{lines}"),
        lines.replace("word\n", "\u{feff}wo\u{ad}rd\n"),
    ];
    let hashes = forms.map(|text| {
        let place = Place::new(PROGRAM);
        place.write("text.toml", LANGUAGE);
        place.write("a.txt", text);
        place.run("train text.toml --run-dir run").ended(0);
        place.inspect("run/checkpoints/step-0000000002.h5")["hash"].clone()
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

/// With a vocabulary of three words, half of this text's tokens are `<unk>`. The run, its record and an evaluation
/// report that.
#[test]
fn unknown_tokens_are_reported() {
    let place = Place::new(PROGRAM);
    place.write("text.toml", LANGUAGE);
    place.write("a.txt", "one of these\n".repeat(100));
    let err = place.run("train text.toml --run-dir run").ended(0).err;
    for part in [
        "(unknown tokens: training 50.0 %, evaluation 50.0 %)",
        "warning: 50.0 % of the training text's tokens are `<unk>`, because the vocabulary has 3 words",
        "warning: 50.0 % of the validation text's tokens",
        "raise data.vocabulary",
    ] {
        assert!(err.contains(part), "no `{part}` in\n{err}");
    }
    let start: serde_json::Value =
        serde_json::from_str(place.read("run/metrics.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!((&start["unknown"], &start["evaluation_unknown"]), (&0.5.into(), &0.5.into()));
    let evaluated = place.run("eval run/checkpoints/best.h5").ended(0);
    assert!(evaluated.out.contains("unknown tokens  50.0 % of them are `<unk>`"), "{}", evaluated.out);
    assert!(evaluated.err.contains("warning: 50.0 % of the test text's tokens"), "{}", evaluated.err);
    assert_eq!(place.run("eval run/checkpoints/best.h5 --json").json()["unknown"], 0.5);
    // A vocabulary with all words.
    let all = "--set data.vocabulary=5 --set model.layers=[{name='a',type='embedding',features=4},{name='b',type='linear',units=5}]";
    let err = place.run(&format!("train text.toml --run-dir all {all}")).ended(0).err;
    let warns = |line: &str| line.starts_with("warning: ") && !line.contains("kernels of BLAS");
    assert!(!err.contains("unknown") && !err.lines().any(warns), "{err}");
}
