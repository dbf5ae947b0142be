//! SmoothOut in runs: the same network on all ranks, after an interruption too, and steps from the clean weights.

use ternflock::error::Kind;

use crate::WORLDS;
use crate::digits::{assert_same_state, load};
use crate::language;
use crate::runs::{resume, short, train, train_until};

const NOISE: [&str; 2] = ["smoothout.a=0.02", "train.global_batch=240"];

/// With micro-batches of one size everywhere each has its place's noise, on however many ranks: all that differs is the
/// order of sums.
#[test]
fn noise_belongs_to_places_and_not_to_ranks() {
    let run = |ranks: usize, more: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let sets = ["train.micro_batch=30", "exchange.gradients=float32", "optimizer.learning_rate=0.01"];
        let job = short(&[&NOISE[..], &sets, more].concat());
        train(ranks, &job, directory.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        load(directory.path(), 20).parameters
    };
    let off = |a: &[ternflock::checkpoint::Tensor], b: &[ternflock::checkpoint::Tensor]| {
        let pairs = a.iter().zip(b).flat_map(|(a, b)| a.values.iter().zip(&b.values));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let alone = run(1, &[]);
    for ranks in [2, 4, 8] {
        let distance = off(&alone, &run(ranks, &[]));
        assert!(distance < 1e-5, "{ranks} ranks: {distance}");
    }
    for other in ["smoothout.noise=shared", "smoothout.a=0", "smoothout.adapt=filter", "train.micro_batch=60"]
    {
        let distance = off(&alone, &run(1, &[other]));
        assert!(distance > 1e-4, "{other}: {distance}");
    }
}

/// Ranks compare all parameters after every step; momentum, penalties and forces see clean weights, so zeros stay zero.
#[test]
fn runs_with_noise_resume_to_the_bit() {
    let variants: [&[&str]; 4] = [
        &["train.micro_batch=2"],
        &[
            "smoothout.adapt=filter",
            "smoothout.a=0.5",
            "smoothout.schedule=grow",
            "exchange.error_feedback=true",
        ],
        &["smoothout.noise=shared", "smoothout.distribution=normal", "smoothout.schedule=anneal"],
        &["sparsity.method=proximal", "sparsity.neurons=5", "force.strength=0.001", "smoothout.adapt=weight"],
    ];
    for (number, variant) in variants.into_iter().enumerate() {
        for ranks in if number == 0 { &WORLDS[..] } else { &[2] } {
            let job = short(&[&NOISE[..], variant].concat());
            let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            train(*ranks, &job, straight.path()).iter().for_each(|rank| assert!(rank.summary().complete));
            train_until(9, *ranks, &job, halved.path());
            resume(*ranks, &job, halved.path()).iter().for_each(|rank| assert!(rank.summary().complete));
            assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
            if number == 3 {
                let zeros = load(straight.path(), 20).parameters;
                let zeros = zeros.iter().flat_map(|tensor| &tensor.values).filter(|value| **value == 0.0);
                assert!(zeros.count() > 100);
            }
        }
    }
}

#[test]
fn recurrent_networks_train_with_noise() {
    let sets = ["smoothout.a=0.01", "train.global_batch=12", "train.micro_batch=3", "train.eval_every=3"];
    for ranks in [1, 2] {
        let job = language::short(&sets);
        let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(ranks, &job, straight.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        train_until(8, ranks, &job, halved.path());
        resume(ranks, &job, halved.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
    }
}

/// Noise of no effect on a loss: with a learning rate of next to nothing, the weights end where they began.
#[test]
fn steps_are_made_from_the_clean_weights() {
    let directory = tempfile::tempdir().unwrap();
    let job = short(&[&NOISE[..], &["smoothout.a=1", "optimizer.learning_rate=1e-30"]].concat());
    train(2, &job, directory.path()).iter().for_each(|rank| assert!(rank.summary().complete));
    let other = tempfile::tempdir().unwrap();
    let still = short(&["train.steps=1", "optimizer.learning_rate=1e-30"]);
    train(1, &still, other.path());
    for (a, b) in load(directory.path(), 20).parameters.iter().zip(&load(other.path(), 1).parameters) {
        // A bias begins at zero, from where 1e-30 is a step.
        let same = a.values.iter().zip(&b.values).all(|(a, b)| (a - b).abs() < 1e-20);
        assert!(same, "`{}` has moved", a.name);
    }
}

#[test]
fn noise_that_breaks_the_loss_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for rank in train(2, &short(&["smoothout.a=1e38"]), directory.path()) {
        let error = rank.result.unwrap_err();
        assert_eq!(error.kind(), Kind::NonFinite);
        let text = error.to_string();
        assert!(text.contains("step 0") && text.contains("smoothout.a = 1"), "{text}");
    }
}

#[test]
fn layers_that_are_not_there_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (layers, said) in
        [("['conv9']", "is called `conv9`; did you mean `conv1`?"), ("[]", "there is no weight to perturb")]
    {
        let job = short(&["smoothout.a=0.1", &format!("smoothout.layers={layers}")]);
        let error = train(1, &job, directory.path()).remove(0).result.unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains(said), "{error}");
    }
}
