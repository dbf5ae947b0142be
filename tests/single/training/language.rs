//! Language models: ranks share the columns of a text, and what a network carries from step to step survives evaluations, restarts
//! and another number of ranks.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::json;
use ternflock::checkpoint::{self, Snapshot, save};
use ternflock::data::{Feeds, Vocabulary, shard};
use ternflock::error::{Error, Kind};
use ternflock::job::{self, Loaded};
use ternflock::report::{Count, Event, Score};
use ternflock::train::{Evaluator, evaluate, open_feeds, open_test_set, restore_network};

use crate::WORLDS;
use crate::digits::{assert_same_state, at_step, load};
use crate::ranks::on_ranks;
use crate::runs::{metrics, resume, resume_changed, train, train_until};

/// The first verses of Genesis by 60 words: an epoch is some steps longer than a run, unless the text is cut.
const JOB: &str = r#"
[data]
dataset = "genesis"
lowercase = true
punctuation = "apart"
vocabulary = 60
sequence_length = 7
evaluation_columns = 5
[[model.layers]]
name = "embedding"
type = "embedding"
features = 12
[[model.layers]]
name = "lstm1"
type = "lstm"
hidden = 9
[[model.layers]]
name = "lstm2"
type = "lstm"
hidden = 10
[[model.layers]]
name = "logits"
type = "linear"
units = 60
[train]
steps = 20
global_batch = 7
log_every = 1
eval_every = 0
[optimizer]
learning_rate = 1.0
clip_norm = 5.0
momentum = 0.0
[exchange]
verify_every = 1
min_elements = 100
"#;

fn load_job(text: &str, sets: &[&str]) -> ternflock::error::Result<Loaded> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("language.toml");
    fs::write(&path, text).unwrap();
    job::load(&path, &sets.iter().map(ToString::to_string).collect::<Vec<_>>())
}

pub fn short(sets: &[&str]) -> Loaded {
    load_job(JOB, sets).unwrap()
}

fn assert_same(a: &Snapshot, b: &Snapshot) {
    assert_same_state(a, b);
    assert_eq!((a.recurrent_state.len(), &a.vocabulary), (4, &b.vocabulary));
    a.recurrent_state
        .iter()
        .zip(&b.recurrent_state)
        .for_each(|(a, b)| assert!(a.same_bits(b), "`{}` differs", a.name));
}

/// A text of its own whose epoch is 6 steps of 7 sequences of 7 tokens, so that a run of 20 passes several beginnings.
fn texts(directory: &Path) -> Vec<String> {
    let words = |count: usize, seed: usize| -> String {
        (0..count)
            .map(|i| format!("w{}{}", (i * i + i / 7 + seed) % 97, if i % 9 == 8 { "\n" } else { " " }))
            .collect()
    };
    let file = |name: &str, count, seed| {
        let path = directory.join(name);
        fs::write(&path, words(count, seed)).unwrap();
        format!("data.{}={}", name.split('.').next().unwrap(), path.display())
    };
    vec![
        "data.dataset=text".into(),
        file("train.txt", 300, 0),
        file("valid.txt", 60, 3),
        file("test.txt", 70, 5),
    ]
}

/// Stops that are due an evaluation, or lie between; in the middle of an epoch, with a rate that evaluations have cut.
#[test]
fn a_resumed_run_equals_the_uninterrupted_one() {
    let directory = tempfile::tempdir().unwrap();
    let texts = texts(directory.path());
    let rhythm =
        ["train.eval_every=2", "schedule.kind=plateau", "optimizer.learning_rate=8", "train.steps=20"];
    for (ranks, more) in [
        (1, "exchange.gradients=ternary"),
        (3, "exchange.gradients=ternary"),
        (3, "exchange.error_feedback=true"),
    ] {
        let sets: Vec<&str> = texts.iter().map(String::as_str).chain(rhythm).chain([more]).collect();
        let loaded = short(&sets);
        let straight = tempfile::tempdir().unwrap();
        train(ranks, &loaded, straight.path());
        let end = load(straight.path(), 20);
        assert!(end.progress.plateau.unwrap().cuts > 0, "{:?}", end.progress);
        for stop in [10, 13] {
            let halved = tempfile::tempdir().unwrap();
            train_until(stop, ranks, &loaded, halved.path());
            let resumed = resume(ranks, &loaded, halved.path());
            assert!(resumed.iter().all(|rank| rank.summary().complete));
            assert_same(&end, &load(halved.path(), 20));
            let rates = |directory| -> Vec<_> {
                metrics(directory, "train").into_iter().map(|line| line["learning_rate"].clone()).collect()
            };
            assert_eq!(rates(straight.path()), rates(halved.path()));
        }
    }
}

/// In exact arithmetic the number of ranks would change nothing. Here a sum of at most 60 products is taken in another order,
/// and an LSTM's state passes it on for 20 steps: the bound is far above that rounding (60 * 2^-24) and far below what a column on a
/// wrong rank, a state of another column or one that was forgotten does to the losses, which the last line measures.
#[test]
fn float32_follows_one_rank_also_where_it_is_resumed_on_another_number() {
    let float32 = ["exchange.gradients=float32"];
    let directory = tempfile::tempdir().unwrap();
    let alone = train(1, &short(&float32), directory.path())[0].losses();
    let farthest = |other: &[f64]| {
        assert_eq!(other.len(), 20);
        alone.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    for ranks in &WORLDS[1..5] {
        let directory = tempfile::tempdir().unwrap();
        let apart = farthest(&train(*ranks, &short(&float32), directory.path())[0].losses());
        assert!(apart < 1e-4, "{ranks} ranks: losses differ by {apart:e}");
    }
    let resumed_on = |ranks: usize, forget: bool| {
        let directory = tempfile::tempdir().unwrap();
        let mut losses = train_until(10, 3, &short(&float32), directory.path())[0].losses();
        if forget {
            let mut snapshot = load(directory.path(), 10);
            snapshot.recurrent_state.iter_mut().for_each(|state| state.values.fill(0.0));
            save(at_step(directory.path(), 10), &snapshot).unwrap();
        }
        losses.extend(resume(ranks, &short(&float32), directory.path())[0].losses());
        losses
    };
    for ranks in [1, 2, 5] {
        let apart = farthest(&resumed_on(ranks, false));
        assert!(apart < 1e-4, "resumed on {ranks} ranks: losses differ by {apart:e}");
    }
    assert!(farthest(&resumed_on(2, true)) > 1e-3);
}

/// An evaluation leaves training as it was, and a step knows what the one before has carried on.
#[test]
fn evaluations_do_not_disturb_training() {
    let (often, never) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train(2, &short(&["train.eval_every=1"]), often.path());
    train(2, &short(&[]), never.path());
    let (often, never) = (load(often.path(), 20), load(never.path(), 20));
    let tensors = |snapshot: &Snapshot| [&snapshot.parameters[..], &snapshot.recurrent_state].concat();
    for (a, b) in tensors(&often).iter().zip(&tensors(&never)) {
        assert!(a.same_bits(b), "`{}` differs", a.name);
    }
    assert!(never.recurrent_state.iter().all(|state| state.values.iter().any(|value| *value != 0.0)));
    assert_eq!(never.recurrent_state[0].shape, [7, 9]);
}

/// By the checkpoint alone, and whatever the number of ranks.
#[test]
fn perplexity_counts_every_token_once_at_any_number_of_ranks() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = short(&[]);
    let ended = train(3, &loaded, directory.path());
    let evaluations: Vec<_> = ended[0]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Evaluate { set, loss, score, samples, best, .. } => {
                Some((*set, *loss, *score, *samples, *best))
            }
            _ => None,
        })
        .collect();
    let [(set, loss, Score::Perplexity(perplexity), Count::Tokens(tokens), best)] = evaluations[..] else {
        panic!("{evaluations:?}")
    };
    assert_eq!((set, best, perplexity), ("validation", true, loss.exp()));
    assert!(tokens > 2000 && perplexity < 60.0, "{tokens} tokens, {perplexity}");
    let stored = load(directory.path(), 20);
    assert_eq!(stored.progress.metrics["validation_perplexity"], perplexity);
    assert_eq!(stored.progress.best.as_ref().unwrap().metric, "perplexity");
    let line = &metrics(directory.path(), "evaluate")[0];
    assert_eq!((&line["perplexity"], &line["tokens"]), (&json!(perplexity), &json!(tokens)));
    assert!(line.get("accuracy").is_none() && line.get("samples").is_none());

    let path = at_step(directory.path(), 20);
    let snapshot = checkpoint::load(&path).unwrap();
    let vocabulary = Vocabulary::of(snapshot.vocabulary.clone()).unwrap();
    let tally = |ranks, capacity| {
        on_ranks(ranks, |mut world| {
            let test = open_test_set(&loaded.job.data, None, Some(&vocabulary)).unwrap();
            let mut network = restore_network(&path, &snapshot, capacity).unwrap();
            evaluate(&mut Evaluator::new(test), &mut network, &mut world).unwrap()
        })[0]
    };
    let alone = tally(1, 5);
    for (ranks, capacity) in [(1, 2), (2, 3), (3, 1), (8, 1)] {
        let shared = tally(ranks, capacity);
        assert_eq!((shared.samples, shared.correct), (alone.samples, alone.correct));
        assert!((shared.loss / alone.loss - 1.0).abs() < 1e-6, "{} and {}", shared.loss, alone.loss);
    }
}

/// The first job on a text of 60 kinds that no file holds: 28 steps of 7 sequences of 7 tokens an epoch.
fn made_up(sets: &[&str]) -> Loaded {
    let of_a_file = "dataset = \"genesis\"\nlowercase = true\npunctuation = \"apart\"\n";
    load_job(&JOB.replace(of_a_file, "dataset = \"synthetic-text\"\ntokens = 1400\n"), sets).unwrap()
}

/// Each rank makes the whole text up and reads its own columns of it. The bound on losses is that of
/// `float32_follows_one_rank_also_where_it_is_resumed_on_another_number`.
#[test]
fn ranks_share_a_made_up_text_however_many_they_are() {
    let loaded = made_up(&["exchange.gradients=float32"]);
    let read = |part: Range<usize>| {
        let Feeds { mut train, evaluation, .. } = open_feeds(&loaded).unwrap();
        let (mut input, mut labels) = (vec![0.0; 7 * part.len()], Vec::new());
        let mut columns = vec![Vec::new(); part.len()];
        for step in [0, 1, 27, 28] {
            train.fill(step, part.clone(), &mut input, &mut labels).unwrap();
            for (at, (&token, &label)) in input.iter().zip(&labels).enumerate() {
                columns[at % part.len()].push((token as usize, label));
            }
        }
        (columns, train.hash(), evaluation.hash())
    };
    let (whole, train_hash, evaluation_hash) = read(0..7);
    let directory = tempfile::tempdir().unwrap();
    let alone = train(1, &loaded, directory.path())[0].losses();
    for ranks in &WORLDS[1..5] {
        let shares = on_ranks(*ranks, |world| read(shard(7, world.rank(), world.size())));
        assert!(
            shares
                .iter()
                .all(|(_, train, evaluation)| (*train, *evaluation) == (train_hash, evaluation_hash))
        );
        assert_eq!(shares.into_iter().flat_map(|(columns, ..)| columns).collect::<Vec<_>>(), whole);
        let directory = tempfile::tempdir().unwrap();
        let losses = train(*ranks, &loaded, directory.path())[0].losses();
        let apart = alone.iter().zip(&losses).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(losses.len() == 20 && apart < 1e-4, "{ranks} ranks: losses differ by {apart:e}");
    }
}

/// There is more to learn than how frequent each token is: the perplexity of that alone is exp of the frequencies' entropy.
#[test]
fn a_made_up_text_teaches_what_follows_what() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = made_up(&["data.tokens=20000", "train.steps=400", "train.log_every=400"]);
    train(2, &loaded, directory.path());
    let stored = load(directory.path(), 400);
    let mut train = open_feeds(&loaded).unwrap().train;
    let (mut counts, mut labels, steps) = ([0.0; 60], Vec::new(), train.samples() as u64 / 7);
    for step in 0..steps {
        train.fill(step, 0..7, &mut [0.0; 49], &mut labels).unwrap();
        labels.iter().for_each(|&label| counts[label] += 1.0);
    }
    let all: f64 = counts.iter().sum();
    let shares = counts.iter().map(|count| count / all).filter(|share| *share > 0.0);
    let frequencies = shares.map(|share| -share * share.ln()).sum::<f64>().exp();
    let perplexity = stored.progress.metrics["validation_perplexity"];
    assert!(perplexity < 0.8 * frequencies, "{perplexity}, by frequencies alone {frequencies}");

    assert!(stored.vocabulary.is_empty());
    let evaluation = open_test_set(&loaded.job.data, None, None).unwrap();
    assert_eq!((evaluation.classes(), evaluation.items()), (60, 5));
    for rank in resume_changed(2, &made_up(&["data.tokens=20001", "train.steps=401"]), directory.path()) {
        let message = rank.result.unwrap_err().to_string();
        assert!(
            message.contains("data.tokens: 20000 -> 20001") || message.contains("has failed"),
            "{message}"
        );
    }
}

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
            format!("step-0000000005.h5 was trained on: the {set} set has other contents; put them back");
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

/// The same numbers would be other words.
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
