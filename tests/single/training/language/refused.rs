//! Jobs and texts that do not fit, or no longer fit.

use std::fs;
use std::path::Path;

use support::digits::load;
use ternflock::error::{Error, Kind};

use super::{JOB, load_job, made_up, short, texts};
use crate::runs::{resume, resume_changed, train, train_until};

#[test]
fn what_does_not_fit_is_refused_where_it_stands() {
    let refused = |text: &str, sets: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let loaded = load_job(text, sets);
        let result = loaded.and_then(|loaded| train(1, &loaded, directory.path()).remove(0).result);
        result.unwrap_err().to_string()
    };
    for (sets, parts) in [
        (&["data.vocabulary=61"][..], &["language.toml:21: ", "7x60", "61 words", "7x61"][..]),
        (&["train.global_batch=40000"], &["genesis", "40000 sequences of 7 needs 320000", "tokens"]),
        (&["data.dataset=text"], &["needs `train`, the file of the training text"]),
        (&["data.dataset=text", "data.train=none.txt"], &["none.txt: cannot be read"]),
        (&["data.validation=5"], &["--set data.validation=5", "is for images", "has a validation text"]),
        (&["data.dataset=digits"], &["data.vocabulary is for text", "data.sequence_length is for text"]),
        (&["data.valid=x"], &["data.valid belongs to dataset = \"text\"", "data.valid also needs data.test"]),
        (&["data.level=\"syllable\""], &["one of \"word\", \"character\""]),
        (&["data.dataset=synthetic-text"], &["data.lowercase is for text in files"]),
    ] {
        let message = refused(JOB, sets);
        parts.iter().for_each(|part| assert!(message.contains(part), "{part}: {message}"));
    }
    let message = train(1, &made_up(&["train.global_batch=176"]), Path::new("unused")).remove(0).result;
    let message = message.unwrap_err().to_string();
    for part in ["language.toml:4: the training text has 1400 tokens", "176 sequences of 7 needs 1408"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let small = JOB.replace("features = 12", "features = 12\nvocabulary = 50");
    let message = refused(&small, &[]);
    for part in ["`embedding`", "[50, 12]", "the data's vocabulary is 60", "language.toml:"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

/// The words are the same, but the text of the training, validation or test set is not.
#[test]
fn a_text_that_has_changed_is_refused_by_name() {
    for name in ["train.txt", "valid.txt", "test.txt"] {
        let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let texts = texts(files.path());
        let sets: Vec<&str> = texts.iter().map(String::as_str).collect();
        let loaded = short(&sets);
        train_until(5, 2, &loaded, directory.path());
        let path = files.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        let (line, rest) = text.split_once('\n').unwrap();
        let backwards: Vec<&str> = line.split(' ').rev().collect();
        fs::write(&path, format!("{}\n{rest}", backwards.join(" "))).unwrap();
        let mut ended = resume(2, &loaded, directory.path());
        let first = ended.remove(0).result;
        let set = match name {
            "train.txt" => "training",
            "valid.txt" => "validation",
            _ => "test",
        };
        let error = first.unwrap_err();
        let message = error.to_string();
        let said =
            format!("step-0000000005.h5 was trained on: the {set} set has other contents; restore them");
        assert!(
            message.starts_with("text: the data are not those that ") && message.contains(&said),
            "{message}"
        );
        assert_eq!(error.kind(), Kind::Data);
        assert!(matches!(ended[0].result, Err(Error::Elsewhere { rank: 0, kind: Kind::Data })));
    }
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let texts = texts(files.path());
    let sets: Vec<&str> = texts.iter().map(String::as_str).collect();
    train_until(5, 1, &short(&sets), directory.path());
    let facts = load(directory.path(), 5).data;
    assert_eq!(facts.keys().collect::<Vec<_>>(), ["test", "training", "validation"]);
    assert_eq!(facts["training"]["vocabulary"], "60");
    assert_eq!(facts["training"]["contents"].len(), 16);
    // One more line of known words, which changes no order of frequency.
    let path = files.path().join("valid.txt");
    let text = fs::read_to_string(&path).unwrap();
    let tokens: usize = facts["validation"]["tokens"].parse().unwrap();
    fs::write(&path, format!("{text}w0\n")).unwrap();
    let message = resume(1, &short(&sets), directory.path()).remove(0).result.unwrap_err().to_string();
    let said = format!("the validation set has other contents, tokens {tokens} -> ");
    assert!(message.contains(&said), "{message}");
}

/// The same numbers would stand for other words.
#[test]
fn a_checkpoint_of_another_vocabulary_is_refused() {
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let texts = texts(files.path());
    let sets: Vec<&str> = texts.iter().map(String::as_str).collect();
    let loaded = short(&[&sets[..], &["train.steps=2"]].concat());
    train(2, &loaded, directory.path());
    let text = fs::read_to_string(files.path().join("train.txt")).unwrap();
    fs::write(files.path().join("train.txt"), text.replace("w0 ", "new ")).unwrap();
    let loaded = short(&[&sets[..], &["train.steps=4"]].concat());
    for rank in resume_changed(2, &loaded, directory.path()) {
        match rank.result {
            Err(Error::OnAllRanks(error)) => {
                let message = error.to_string();
                for part in
                    ["step-0000000002.h5", "its vocabulary is not that of the data", "60 words and 60"]
                {
                    assert!(message.contains(part), "{part}: {message}");
                }
            }
            other => assert!(matches!(other, Err(Error::Elsewhere { .. })), "{other:?}"),
        }
    }
}
