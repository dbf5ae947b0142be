//! Language models: ranks share the columns of a text, and the recurrent state survives evaluations, restarts
//! and another number of ranks.

use std::fs;
use std::path::Path;

use serde_json::json;
use support::digits::{assert_same_state, at_step, load};
use support::ranks::on_ranks;
use ternflock::checkpoint::{self, Snapshot, save};
use ternflock::data::Vocabulary;
use ternflock::job::{self, Loaded, Metric, Task};
use ternflock::nn::Execution;
use ternflock::report::{Count, Event, Score};
use ternflock::train::{Evaluator, evaluate, open_test_set, restore_network};

use crate::WORLDS;
use crate::runs::{metrics, resume, train, train_until};

mod refused;
mod synthetic;

/// The first verses of Genesis with a vocabulary of 60 words: an epoch is a few steps longer than a run,
/// unless the text is cut.
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

/// Stops where an evaluation is due, and between evaluations; in the middle of an epoch, with a rate that
/// evaluations have reduced.
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

/// An evaluation does not affect training, and a step continues from the state of the previous one.
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

/// From the checkpoint alone, and with any number of ranks.
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
    let [(set, loss, Score { metric: Metric::Perplexity, value: perplexity }, Count::Tokens(tokens), best)] =
        evaluations[..]
    else {
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
            let mut network = restore_network(&path, &snapshot, Execution::float32(capacity)).unwrap();
            evaluate(&mut Evaluator::new(test, &Task::default()).unwrap(), &mut network, &mut world)
                .unwrap()
                .tally
        })[0]
    };
    let alone = tally(1, 5);
    for (ranks, capacity) in [(1, 2), (2, 3), (3, 1), (8, 1)] {
        let shared = tally(ranks, capacity);
        assert_eq!((shared.samples, shared.correct), (alone.samples, alone.correct));
        assert!((shared.loss / alone.loss - 1.0).abs() < 1e-6, "{} and {}", shared.loss, alone.loss);
    }
}

/// The first job on a generated text of 60 distinct tokens: 28 steps of 7 sequences of 7 tokens per epoch.
fn made_up(sets: &[&str]) -> Loaded {
    let of_a_file = "dataset = \"genesis\"\nlowercase = true\npunctuation = \"apart\"\n";
    load_job(&JOB.replace(of_a_file, "dataset = \"synthetic-text\"\ntokens = 1400\n"), sets).unwrap()
}
