//! Training with bf16 products keeps the guarantees of training with float32.

use support::digits::{assert_same_state, load};
use ternflock::tensor::Precision;

use crate::runs::{resume, resume_changed, short, train, train_until};

const BF16: &str = "train.precision=bf16";

/// Interrupted between checkpoints and evaluations. The ranks check after each step that they agree.
#[test]
fn a_resumed_run_equals_the_uninterrupted_one() {
    let loaded = short(&[BF16, "train.steps=12", "train.eval_every=5", "checkpoint.every=4"]);
    for ranks in [1, 2, 3] {
        let [straight, halved] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for rank in train(ranks, &loaded, straight.path()) {
            assert!(rank.summary().complete && rank.notes().is_empty(), "{:?}", rank.notes());
        }
        train_until(6, ranks, &loaded, halved.path());
        for rank in resume(ranks, &loaded, halved.path()) {
            assert!(rank.summary().complete && rank.notes().is_empty(), "{:?}", rank.notes());
        }
        let [straight, halved] = [straight, halved].map(|directory| load(directory.path(), 12));
        assert_same_state(&straight, &halved);
        assert_eq!(straight.progress.products.as_deref(), Some(Precision::Bf16.arithmetic()));
    }
}

/// A rounding to bf16 changes an operand by at most one part in 2^9. Over these steps, at a mild learning rate, the
/// losses (about 2.3) move by some such parts and no more.
#[test]
fn losses_follow_those_of_float32() {
    let losses = |precision: &str| {
        let directory = tempfile::tempdir().unwrap();
        let sets =
            [precision, "train.steps=10", "optimizer.learning_rate=0.02", "exchange.gradients=float32"];
        train(1, &short(&sets), directory.path())[0].losses()
    };
    let (float32, bf16) = (losses("train.precision=float32"), losses(BF16));
    assert_eq!((float32.len(), bf16.len()), (10, 10));
    for (step, (a, b)) in float32.iter().zip(&bf16).enumerate() {
        assert!((a - b).abs() < 0.05, "step {step}: {a} and {b}");
    }
}

/// A language model has embeddings, recurrent layers and linear ones.
#[test]
fn recurrent_networks_resume_in_bf16() {
    let loaded = crate::language::short(&[BF16]);
    let [straight, halved] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let last = train(2, &loaded, straight.path())[0].summary().step;
    train_until(last / 2, 2, &loaded, halved.path());
    assert!(resume(2, &loaded, halved.path())[0].summary().complete);
    assert_same_state(&load(straight.path(), last), &load(halved.path(), last));
}

/// The precision may change in a resumed run if the user accepts it; both the change and its effect are noted.
#[test]
fn another_precision_is_a_change_of_the_job() {
    let directory = tempfile::tempdir().unwrap();
    train_until(6, 1, &short(&["train.steps=12"]), directory.path());
    let ended = resume_changed(1, &short(&["train.steps=12", BF16]), directory.path());
    let notes = ended[0].notes().join("\n");
    let change = "train.precision: \"float32\" -> \"bf16\"";
    let effect = format!(
        "the arithmetic of products on rank 0 was float32 until now and is {}",
        Precision::Bf16.arithmetic()
    );
    for part in [change, &effect] {
        assert!(notes.contains(part), "no `{part}` in {notes}");
    }
    let stored = load(directory.path(), 12);
    assert!(stored.job.contains("precision = \"bf16\""), "{}", stored.job);
}
