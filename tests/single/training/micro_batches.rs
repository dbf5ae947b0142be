//! Gradients of micro-batches are added up: the step is the same as with the complete batch, except for the
//! order of sums.

use std::path::Path;

use support::digits::{assert_same_state, load};
use ternflock::checkpoint::Snapshot;
use ternflock::error::Kind;

use crate::WORLDS;
use crate::language;
use crate::runs::{resume, short, train, train_until};

/// 20 steps in which only sums are rounded, with a small rate so that rounding errors do not grow.
const PLAIN: [&str; 3] =
    ["exchange.gradients=float32", "optimizer.learning_rate=0.01", "train.global_batch=40"];

fn values(snapshot: &Snapshot) -> Vec<f32> {
    snapshot.parameters.iter().flat_map(|tensor| tensor.values.iter().copied()).collect()
}

fn assert_close(a: &Snapshot, b: &Snapshot, what: &str) {
    let (a, b) = (values(a), values(b));
    let largest = a.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    // 20 steps of 0.01, each with sums of 40 samples' gradients in another order: far below one part in 10^5. A value next to
    // the kink of a ReLU may come to lie on its other side, which with some kernels happens here: it changes the few weights
    // of one unit by more than that, and so the mean over all weights counts. Another step than this changes them all.
    let squares: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let off = (squares / a.len() as f64).sqrt();
    assert!(off <= 1e-5 * f64::from(largest), "{what}: {off} of {largest}");
}

fn whole(directory: &Path, ranks: usize, sets: &[&str]) -> Snapshot {
    let loaded = short(&[&PLAIN[..], sets].concat());
    train(ranks, &loaded, directory).iter().for_each(|rank| assert!(rank.summary().complete));
    load(directory, 20)
}

#[test]
fn micro_batches_take_the_step_of_the_whole_batch() {
    let here = || tempfile::tempdir().unwrap();
    let at_once = whole(here().path(), 1, &[]);
    for (ranks, micro) in [(1, 40), (1, 20), (1, 8), (1, 1), (2, 5), (4, 5), (5, 4), (8, 5)] {
        let directory = here();
        let micro = format!("train.micro_batch={micro}");
        assert_close(
            &at_once,
            &whole(directory.path(), ranks, &[&micro]),
            &format!("{ranks} ranks, {micro}"),
        );
    }
}

/// With one micro-batch, the result is bit-identical.
#[test]
fn a_part_that_fits_is_computed_at_once() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut large = whole(a.path(), 2, &["train.micro_batch=20"]);
    let plain = whole(b.path(), 2, &[]);
    large.job = plain.job.clone();
    assert_same_state(&large, &plain);
}

/// The gradients delivered part by part, during the backward pass of the last micro-batch, are the sums over
/// all of them.
#[test]
fn parts_that_travel_early_hold_all_micro_batches() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let micro = ["train.micro_batch=4", "exchange.bucket_elements=1000", "exchange.overlap=always"];
    let beside = whole(a.path(), 2, &micro);
    let after = whole(b.path(), 2, &[&micro[..2], &["exchange.overlap=never"]].concat());
    assert_same_state(&beside, &after);
}

#[test]
fn ternary_micro_batches_agree_and_resume() {
    for ranks in WORLDS {
        let job = short(&["train.global_batch=240", "train.micro_batch=2", "exchange.error_feedback=true"]);
        let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(ranks, &job, straight.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        train_until(9, ranks, &job, halved.path());
        resume(ranks, &job, halved.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
    }
}

/// Each place of the batch continues from its own state, although the network has the capacity for only one
/// micro-batch.
#[test]
fn recurrent_layers_carry_on_in_micro_batches() {
    let sets = ["train.global_batch=12", "exchange.gradients=float32", "optimizer.learning_rate=0.1"];
    let run = |ranks: usize, more: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let job = language::short(&[&sets[..], more].concat());
        train(ranks, &job, directory.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        load(directory.path(), 20)
    };
    let at_once = run(1, &[]);
    for (ranks, micro) in [(1, 4), (1, 1), (2, 3), (3, 2), (3, 4)] {
        let cut = run(ranks, &[&format!("train.micro_batch={micro}")]);
        assert_close(&at_once, &cut, &format!("{ranks} ranks, {micro}"));
        assert_eq!(cut.recurrent_state.len(), at_once.recurrent_state.len());
        for (a, b) in cut.recurrent_state.iter().zip(&at_once.recurrent_state) {
            assert_eq!((&a.name, &a.shape), (&b.name, &b.shape));
            // States are below 1.
            let off = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-4 && a.values.iter().any(|&value| value != 0.0), "{}: {off}", a.name);
        }
    }
    // Interrupted, on another number of ranks afterwards, and evaluated on the way.
    let micro = ["train.micro_batch=2", "train.eval_every=3"];
    let job = language::short(&[&sets[..], &micro].concat());
    let halved = tempfile::tempdir().unwrap();
    train_until(9, 2, &job, halved.path());
    resume(2, &job, halved.path()).iter().for_each(|rank| assert!(rank.summary().complete));
    assert_same_state(&run(2, &micro), &load(halved.path(), 20));
}

#[test]
fn a_micro_batch_that_does_not_divide_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (ranks, micro, said) in [(1, 7, "divide the 40 samples"), (3, 13, "divide the 14 samples")] {
        let job = short(&["train.global_batch=40", &format!("train.micro_batch={micro}")]);
        let error = train(ranks, &job, directory.path()).remove(0).result.unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let text = error.to_string();
        assert!(text.contains("--set train.micro_batch") && text.contains(said), "{text}");
    }
}

/// A sample that makes the loss NaN in the first of four micro-batches: the message names its origin, and the
/// parameters stay those of the previous step.
#[test]
fn a_loss_that_is_not_finite_ends_the_run_in_any_micro_batch() {
    let directory = tempfile::tempdir().unwrap();
    let job = short(&["train.global_batch=40", "train.micro_batch=10", "optimizer.learning_rate=1e30"]);
    for rank in train(2, &job, directory.path()) {
        let error = rank.result.unwrap_err();
        assert_eq!(error.kind(), Kind::NonFinite);
        assert!(error.to_string().contains("step "), "{error}");
    }
}
