//! Penalties, forces and frozen zeros between and after exchanges.

use support::digits::{assert_same_state, at_step, load};
use support::ranks::on_ranks;
use ternflock::compress::surgery::shrink;
use ternflock::job::Shrink;
use ternflock::nn::Execution;
use ternflock::train::{prepare, restore_network};

use crate::runs::{resume, short, train, train_until};
use crate::stages::{assert_complete, assert_zeros_stay, staged};

const PENALTIES: [&str; 4] =
    ["exchange.every=4", "sparsity.method=proximal", "sparsity.neurons=5", "sparsity.filters=2"];

/// Structures are really zero after each exchange, and the surgery after the run removes them.
#[test]
fn proximal_steps_leave_zeros_after_the_exchange() {
    for more in [&["exchange.gradients=ternary"][..], &["exchange.gradients=float32"]] {
        for ranks in [1, 4] {
            let directory = tempfile::tempdir().unwrap();
            let loaded = short(&[&PENALTIES[..], more].concat());
            assert_complete(&train(ranks, &loaded, directory.path()));
            let path = at_step(directory.path(), 20);
            let network = restore_network(&path, &load(directory.path(), 20), Execution::float32(1)).unwrap();
            let shrunk = shrink(network.graph(), &network.parameters, &Shrink::default()).unwrap();
            let (left, all) = (shrunk.surgery.parameters.len(), network.parameters.values.len());
            assert!(left < all * 19 / 20, "{more:?}, {ranks} ranks: {left} of {all} parameters are left");
            assert!(shrunk.emptied.is_empty(), "{more:?}: {:?}", shrunk.emptied);
        }
    }
}

/// One proximal step at the sum of the rates of four local steps shrinks filters as four steps do. Gradients hardly move
/// parameters here: a step moves them by the learning rate, and shrinks the norm of a filter by 10^5 times that.
#[test]
fn one_proximal_step_at_the_rates_of_all_local_steps() {
    let run = |sets: &[&str]| {
        let common = [
            "sparsity.method=proximal",
            "sparsity.filters=1e5",
            "optimizer.learning_rate=1e-6",
            "optimizer.momentum=0",
            "exchange.gradients=float32",
            "train.steps=4",
        ];
        let loaded = short(&[&common[..], sets].concat());
        on_ranks(2, |mut world| {
            let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
            let before = trainer.network.parameters.values.clone();
            while trainer.step < trainer.steps {
                trainer.step(&mut world, false).unwrap();
            }
            (before, trainer.network.parameters.values)
        })
        .swap_remove(0)
    };
    for schedule in ["schedule.kind=fixed", "schedule.kind=polynomial"] {
        let ((before, each), (_, together)) =
            (run(&[schedule, "exchange.every=1"]), run(&[schedule, "exchange.every=4"]));
        let farthest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(farthest(&each, &together) < 1e-4, "{schedule}: {}", farthest(&each, &together));
        assert!(farthest(&each, &before) > 0.05, "{schedule}: {}", farthest(&each, &before));
    }
}

#[test]
fn a_resumed_run_makes_the_same_zeros() {
    for more in [
        &["sparsity.method=proximal"][..],
        &["sparsity.method=group_lasso", "sparsity.threshold=0.001"],
        // Each rank's layers move at rates of its own.
        &["optimizer.kind=lars", "optimizer.learning_rate=2.0"],
    ] {
        let job = short(&[&PENALTIES[..], more].concat());
        let (quiet, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_complete(&train(2, &job, quiet.path()));
        train_until(9, 2, &job, cut.path());
        assert_complete(&resume(2, &job, cut.path()));
        assert_same_state(&load(quiet.path(), 20), &load(cut.path(), 20));
    }
}

const STAGES: &str = r#"
[[stage]]
name = "sparsify"
train.steps = 12
sparsity = { method = "proximal", filters = 3, neurons = 8, l1 = 0.05 }
force.strength = 0.001

[[stage]]
name = "shrink"
shrink = {}

[[stage]]
name = "thin"
train.steps = 9
low_rank = { ranks = { conv2 = 3 }, except = ["hidden"] }

[[stage]]
name = "tune"
train.steps = 7
optimizer = { kind = "adam", learning_rate = 0.001 }
freeze_zeros = true
"#;

/// Stages whose lengths the period does not divide, with surgery between them: an interrupted run is the same to the bit.
#[test]
fn stages_end_synchronised() {
    for gradients in ["exchange.gradients=ternary", "exchange.gradients=float32"] {
        let loaded = staged(STAGES, &["exchange.every=4", gradients]);
        for ranks in [1, 3] {
            let straight = tempfile::tempdir().unwrap();
            let ended = train(ranks, &loaded, straight.path());
            assert_complete(&ended);
            let summary = ended[0].summary();
            assert_eq!((summary.step, summary.stages.len()), (28, 4));
            assert_eq!(summary.traffic.bytes_per_step, summary.traffic.formula_bytes_per_step);
            for stop in [6, 14, 22] {
                let halved = tempfile::tempdir().unwrap();
                train_until(stop, ranks, &loaded, halved.path());
                assert_complete(&resume(ranks, &loaded, halved.path()));
                assert_same_state(&load(straight.path(), 28), &load(halved.path(), 28));
            }
        }
    }
}

/// While the rest moves, with momentum that would have moved them; ternaries round residuals of earlier stages.
#[test]
fn frozen_zeros_stay() {
    let stages = r#"
[[stage]]
name = "sparsify"
train.steps = 12
sparsity = { method = "proximal", filters = 2, neurons = 5, l1 = 0.05 }

[[stage]]
name = "tune"
train.steps = 9
freeze_zeros = true
"#;
    for gradients in ["exchange.gradients=ternary", "exchange.gradients=float32"] {
        let directory = tempfile::tempdir().unwrap();
        let loaded = staged(stages, &["exchange.every=4", gradients, "exchange.keep_float=[]"]);
        assert_complete(&train(3, &loaded, directory.path()));
        assert_zeros_stay(directory.path(), ["sparsify", "tune"], gradients);
    }
}
