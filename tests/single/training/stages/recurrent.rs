//! Hidden units are removed in the middle of a run, and the recurrent state follows.

use std::fs;
use std::path::Path;

use support::digits::{assert_same_state, load};
use ternflock::checkpoint::Snapshot;
use ternflock::compress::operation::Operation;
use ternflock::job::{self, Loaded, Shrink};
use ternflock::nn::Execution;
use ternflock::nn::layer::Mode;
use ternflock::train::restore_network;

use super::{assert_complete, parameters, stage};
use crate::runs::{resume, train, train_until};

/// Two recurrent layers of different types on the first verses of Genesis by 60 words; an epoch is longer than the run.
const JOB: &str = r#"
[data]
dataset = "genesis"
vocabulary = 60
sequence_length = 7
evaluation_columns = 5
[[model.layers]]
name = "embedding"
type = "embedding"
features = 12
[[model.layers]]
name = "first"
type = "TYPE"
hidden = 12
[[model.layers]]
name = "lstm"
type = "lstm"
hidden = 10
[[model.layers]]
name = "logits"
type = "linear"
units = 60
[train]
global_batch = 7
log_every = 1
eval_every = 0
[optimizer]
learning_rate = 0.5
momentum = 0.9
clip_norm = 5.0
[exchange]
verify_every = 1
min_elements = 100

[[stage]]
name = "sparsify"
train.steps = 9
sparsity = { method = "proximal", hidden_units = STRENGTH, scale_by_size = true }

[[stage]]
name = "shrink"
shrink = {}

[[stage]]
name = "tune"
train.steps = 4

[[stage]]
name = "thin"
train.steps = 5
low_rank = { ranks = { lstm = 3, "lstm/weight_hh" = 5, "first/weight_hh" = 6 }, cost_test = false }
"#;

/// The job with a first layer of type `kind`, and a strength at which some of its units become zero; computed
/// `micro_batch` sequences at a time.
fn staged(kind: &str, micro_batch: usize) -> Loaded {
    let strength = if kind == "lstm" { "0.06" } else { "0.07" };
    let depth = if kind == "rhn" { "\ndepth = 2" } else { "" };
    let kind = format!("type = \"{kind}\"{depth}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recurrent.toml");
    fs::write(&path, JOB.replace("STRENGTH", strength).replace("type = \"TYPE\"", &kind)).unwrap();
    job::load(&path, &[format!("train.micro_batch={micro_batch}")]).unwrap()
}

fn shape(snapshot: &Snapshot, tensor: &str) -> Vec<usize> {
    let network = restore_network(Path::new("here"), snapshot, Execution::float32(1)).unwrap();
    let tensors = network.parameters.table.iter();
    tensors.clone().find(|parameter| parameter.name == tensor).unwrap().spec.shape.clone()
}

/// The logits of a batch of sequences that begin from the recurrent state in `snapshot`.
fn output(snapshot: &Snapshot) -> Vec<f32> {
    let mut network = restore_network(Path::new("here"), snapshot, Execution::float32(7)).unwrap();
    network.input_mut(7).iter_mut().enumerate().for_each(|(at, token)| *token = (at * 13 % 60) as f32);
    network.forward(7, Mode::Evaluate).to_vec()
}

/// The network computes the same output, and each sequence continues from the state of the remaining units.
#[test]
fn hidden_units_go_with_all_that_is_theirs() {
    for (kind, states) in [("lstm", 4), ("gru", 3), ("rnn", 3), ("rhn", 3)] {
        for (ranks, micro_batch) in [(1, 7), (4, 7), (1, 1)] {
            let directory = tempfile::tempdir().unwrap();
            assert_complete(&train(ranks, &staged(kind, micro_batch), directory.path()));
            let [masked, shrunk, tuned, thin] =
                ["sparsify", "shrink", "tune", "thin"].map(|name| stage(directory.path(), name));
            assert!(parameters(&shrunk) < parameters(&masked), "{kind}: nothing went");
            assert_ne!(parameters(&thin), parameters(&tuned));
            for (layer, rank) in [("first", 6), ("lstm", 5)] {
                let basis = shape(&thin, &format!("{layer}/weight_hh_basis"));
                assert_eq!(basis[0], rank.min(basis[1]), "{kind}: {layer}");
            }
            let (before, after) = (output(&masked), output(&shrunk));
            let largest = before.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
            before.iter().zip(&after).for_each(|(a, b)| assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}"));

            let whole = restore_network("here".as_ref(), &masked, Execution::float32(1)).unwrap();
            let operation =
                Operation::new(whole.graph(), &whole.parameters, Some(&Shrink::default()), None).unwrap();
            assert_eq!((masked.recurrent_state.len(), shrunk.recurrent_state.len()), (states, states));
            let mut narrower = 0;
            for (before, after) in masked.recurrent_state.iter().zip(&shrunk.recurrent_state) {
                assert_eq!(before.name, after.name);
                let layer = before.name.split('/').next().unwrap();
                let rows = operation.take_recurrent_state(layer, &before.values, before.shape[1]).unwrap();
                assert_eq!(rows, after.values, "{} on {ranks} ranks", before.name);
                assert!(before.values.iter().any(|&value| value != 0.0));
                narrower += usize::from(after.shape[1] < before.shape[1]);
            }
            assert!(narrower > 0);
        }
    }
}

/// Stopped within each stage and between them.
#[test]
fn a_resumed_run_carries_on() {
    for (ranks, micro_batch) in [(1, 7), (3, 7), (1, 1), (3, 1)] {
        let loaded = staged("gru", micro_batch);
        let straight = tempfile::tempdir().unwrap();
        assert_complete(&train(ranks, &loaded, straight.path()));
        let end = load(straight.path(), 18);
        for stop in [4, 9, 11, 13, 16] {
            let halved = tempfile::tempdir().unwrap();
            train_until(stop, ranks, &loaded, halved.path());
            assert_complete(&resume(ranks, &loaded, halved.path()));
            let resumed = load(halved.path(), 18);
            assert_same_state(&end, &resumed);
            assert_eq!(end.recurrent_state.len(), 3);
            end.recurrent_state
                .iter()
                .zip(&resumed.recurrent_state)
                .for_each(|(a, b)| assert!(a.same_bits(b), "{}", a.name));
        }
    }
}
