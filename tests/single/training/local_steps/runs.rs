//! Runs with local steps: what waits for the ranks to be synchronised, stops, resumes and failures.

use std::fs;

use support::digits::{assert_same_state, at_step, checkpoints, load};
use support::ranks::on_ranks;
use ternflock::error::Error;
use ternflock::train::prepare;
use ternflock_collectives::all_reduce::ring_f32;

use crate::runs::{Ended, metrics, resume, resume_changed, short, steps, train, train_until};

fn assert_complete(ended: &[Ended]) {
    ended.iter().for_each(|rank| assert!(rank.summary().complete));
}

/// The ranks are synchronised at 4, 8, 12, 16 and 20. What is due at a step between waits for the next of them.
#[test]
fn periodic_work_waits_until_the_ranks_are_synchronised() {
    let loaded = short(&[
        "exchange.every=4",
        "train.eval_every=5",
        "checkpoint.every=7",
        "checkpoint.keep=9",
        "train.log_every=3",
    ]);
    for ranks in [1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let ended = train(ranks, &loaded, directory.path());
        assert_complete(&ended);
        assert!(ended.iter().all(|rank| rank.notes().is_empty()), "{:?}", ended[0].notes());
        assert_eq!(steps(&metrics(directory.path(), "evaluate")), [8, 12, 16, 20]);
        assert_eq!(steps(&metrics(directory.path(), "train")), [4, 8, 12, 16, 20]);
        let saved: Vec<u64> = steps(&metrics(directory.path(), "checkpoint"));
        assert!([8, 16, 20].iter().all(|step| saved.contains(step)) && !saved.contains(&4), "{saved:?}");
        assert!(checkpoints(directory.path()).contains(&"step-0000000016.h5".to_owned()));
        let start = &metrics(directory.path(), "start")[0];
        assert_eq!((&start["exchange_every"], &start["exchange_every_start"]), (&4.into(), &0.into()));
    }
}

/// Five exchanges in 20 steps; a float32 ring would send its bytes in each of them.
#[test]
fn bytes_per_step_are_the_mean_over_all_steps() {
    let loaded = short(&["exchange.every=4"]);
    let directory = tempfile::tempdir().unwrap();
    let ended = train(3, &loaded, directory.path());
    let traffic = ended[0].summary().traffic;
    let (per_exchange, elements) = on_ranks(3, |mut world| {
        let (trainer, _) = prepare(&loaded, &mut world).unwrap();
        (trainer.exchange().formula_bytes(world.rank()), trainer.network.parameters.values.len())
    })[0];
    assert!(per_exchange > 0);
    assert_eq!(traffic.bytes_per_step, per_exchange as f64 * 5.0 / 20.0);
    assert_eq!(traffic.formula_bytes_per_step, traffic.bytes_per_step);
    let float32 = ring_f32::traffic(ring_f32::SEGMENT, elements, 3, 0).bytes_sent;
    assert_eq!(traffic.float32_bytes_per_step, float32 as f64);
    let lines = metrics(directory.path(), "train");
    assert!(lines.iter().all(|line| line["bytes_sent"] == per_exchange), "{lines:?}");
}

/// A stop at the last exchange but one, with its checkpoint or, like a killed run, from an earlier one.
#[test]
fn a_resumed_run_equals_the_uninterrupted_one() {
    let rhythm = ["exchange.every=4", "train.eval_every=5", "checkpoint.every=4", "schedule.kind=polynomial"];
    let cases: [&[&str]; 6] = [
        &[],
        &["exchange.gradients=float32"],
        &["optimizer.kind=adam", "optimizer.learning_rate=0.001"],
        &["optimizer.kind=nesterov", "exchange.bucket_elements=1000", "exchange.every_start=6"],
        &["optimizer.kind=lars", "exchange.every_start=3", "exchange.error_feedback=false"],
        &["optimizer.momentum=0", "exchange.every=7"],
    ];
    for more in cases {
        let loaded = short(&[&rhythm[..], more].concat());
        for ranks in [1, 3] {
            let straight = tempfile::tempdir().unwrap();
            assert_complete(&train(ranks, &loaded, straight.path()));
            let synchronised = steps(&metrics(straight.path(), "train"));
            let [.., before, stop, _] = synchronised[..] else { panic!("{synchronised:?}") };
            for lost in [false, true] {
                let halved = tempfile::tempdir().unwrap();
                for rank in train_until(before + 1, ranks, &loaded, halved.path()) {
                    assert_eq!((rank.summary().complete, rank.summary().step), (false, stop), "{more:?}");
                }
                if lost {
                    fs::remove_file(at_step(halved.path(), stop)).unwrap();
                }
                let second = resume(ranks, &loaded, halved.path());
                assert_complete(&second);
                assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
                let evaluations = |run| metrics(run, "evaluate");
                assert_eq!(evaluations(straight.path()), evaluations(halved.path()), "{more:?}");
            }
        }
    }
}

/// The last rank sees the event of step 4 and wishes to stop.
#[test]
fn a_wish_to_stop_waits_for_the_next_exchange() {
    let loaded = short(&["exchange.every=4"]);
    let directory = tempfile::tempdir().unwrap();
    for rank in train_until(5, 3, &loaded, directory.path()) {
        assert_eq!((rank.summary().complete, rank.summary().step), (false, 8));
        assert!(rank.notes().last().unwrap().contains("stops the run after step 8; --resume"));
    }
    assert_eq!(load(directory.path(), 8).progress.step, 8);
}

/// With momentum, each rank's own; without a state on one rank, or before the local steps start.
#[test]
fn a_checkpoint_holds_the_optimizer_state_of_each_rank() {
    let shapes = |ranks, sets: &[&str]| -> Vec<Vec<usize>> {
        let directory = tempfile::tempdir().unwrap();
        train(ranks, &short(&[&["train.steps=8", "exchange.every=4"], sets].concat()), directory.path());
        let snapshot = load(directory.path(), 8);
        let slot = snapshot.optimizer.iter().find(|slot| slot.name == "momentum").unwrap();
        let values: Vec<_> = slot.tensors[0].values.chunks(slot.tensors[0].values.len() / 3).collect();
        assert_eq!(values[0] != values[1], slot.tensors[0].shape.len() > 4 || ranks < 3 || !sets.is_empty());
        slot.tensors.iter().map(|tensor| tensor.shape.clone()).collect()
    };
    let own = shapes(3, &[]);
    let shared = shapes(1, &[]);
    assert_eq!(own, shared.iter().map(|shape| [&[3], &shape[..]].concat()).collect::<Vec<_>>());
    assert_eq!(shapes(3, &["exchange.every_start=8"]), shared);
}

#[test]
fn on_another_number_of_ranks_each_takes_the_mean() {
    let local = |steps| short(&["exchange.every=4", steps]);
    let directory = tempfile::tempdir().unwrap();
    train(3, &local("train.steps=8"), directory.path());
    let ended = resume_changed(2, &local("train.steps=12"), directory.path());
    let said = "each rank continues with the mean of all ranks' optimizer state `momentum`";
    for rank in &ended {
        assert!(
            rank.summary().complete && rank.notes().iter().any(|note| note == said),
            "{:?}",
            rank.notes()
        );
    }
}

/// Back to an exchange in each step, all ranks need the same optimizer state; residuals of movements are no residuals of
/// gradients, and the other way round.
#[test]
fn the_interval_may_change_when_a_run_resumes() {
    let with = |sets: &[&str]| short(&[&["exchange.error_feedback=true"], sets].concat());
    let directory = tempfile::tempdir().unwrap();
    let note = |ended: &[Ended], parts: &[&str]| {
        for rank in ended {
            assert!(rank.summary().complete);
            let notes = rank.notes();
            for part in parts {
                assert!(notes.iter().any(|note| note.contains(part)), "{part}: {notes:?}");
            }
        }
    };
    assert_complete(&train(3, &with(&["train.steps=6", "exchange.every=3"]), directory.path()));
    let dropped = "residuals of error feedback in the checkpoint are dropped: gradients and the movements of local steps";
    let back = resume_changed(3, &with(&["train.steps=9", "exchange.every=1"]), directory.path());
    note(&back, &["mean of all ranks' optimizer state `momentum`", dropped, "exchange.every: 3 -> 1"]);
    let again = resume_changed(3, &with(&["train.steps=14", "exchange.every=4"]), directory.path());
    note(&again, &[dropped, "exchange.every: 1 -> 4"]);
    // From step 9, the next multiple of 4 comes first.
    let trained = steps(&metrics(directory.path(), "train"));
    assert_eq!(trained, [3, 6, 7, 8, 9, 12, 14]);
}

#[test]
fn a_period_that_does_not_fit_is_said() {
    let note = |sets: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let ended = train(2, &short(sets), directory.path());
        assert_complete(&ended);
        (ended[0].notes(), steps(&metrics(directory.path(), "train")))
    };
    let (notes, trained) = note(&["exchange.every=6"]);
    assert_eq!(trained, [6, 12, 18, 20]);
    let said = "exchange.every = 6 does not divide the run: the ranks average for the last time after step 20, after 2 local steps";
    assert_eq!(notes, [said]);
    let (notes, trained) = note(&["exchange.every=100", "exchange.every_start=2"]);
    assert_eq!(trained, [1, 2, 20]);
    let said =
        "exchange.every = 100 applies to only 18 steps of the run: the ranks average once, after step 20";
    assert_eq!(notes, [said]);
}

/// From the step that breaks it on, a rank waits for the exchange; then all return the same error, which names the rank and
/// that step. The parameters of one rank are broken between two exchanges.
#[test]
fn a_value_that_is_not_finite_stops_all_at_the_next_exchange() {
    const RANKS: usize = 3;
    for gradients in ["exchange.gradients=ternary", "exchange.gradients=float32"] {
        for (rank_broken, step_broken) in [(1, 5), (2, 7)] {
            let loaded = short(&["exchange.every=4", gradients]);
            let all = on_ranks(RANKS, |mut world| {
                let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
                loop {
                    if (world.rank(), trainer.step) == (rank_broken, step_broken) {
                        trainer.network.parameters.values[0] = f32::NAN;
                    }
                    if let Err(error) = trainer.step(&mut world, false) {
                        return (error, trainer.step);
                    }
                }
            });
            for (error, at) in all {
                assert_eq!(at, 7, "the exchange after step 7");
                let Error::NonFinite { step, rank, what } = &error else { panic!("{error}") };
                assert_eq!((*step, *rank), (step_broken, rank_broken), "{what}");
                assert!(what.starts_with("the loss is NaN; ") && what.contains("learning rate"), "{what}");
            }
        }
    }
}

/// The loss and the gradients are finite, but decay overflows the update of the last step before the exchange.
#[test]
fn a_movement_that_is_not_finite_is_named() {
    for gradients in ["exchange.gradients=ternary", "exchange.gradients=float32"] {
        let sets = [
            "train.steps=1",
            "exchange.every=2",
            "optimizer.learning_rate=3e38",
            "optimizer.weight_decay=1000",
        ];
        let loaded = short(&[&sets[..], &[gradients]].concat());
        let all = on_ranks(2, |mut world| {
            let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
            trainer.step(&mut world, false).unwrap_err()
        });
        for error in all {
            let Error::NonFinite { step, rank, what } = &error else { panic!("{error}") };
            assert_eq!((*step, *rank), (0, 0), "{error}");
            assert!(what.starts_with("1 local step moved element 0 of `conv1/weight` by "), "{what}");
        }
    }
}
