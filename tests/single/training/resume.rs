//! A run that is interrupted and resumed is bit-identical to one that was not.

use std::fs;
use std::path::Path;

use support::digits::{JOB, assert_same_state, at_step, checkpoints, load};
use ternflock::error::Kind;

use crate::runs::{Ended, metrics, resume, resume_changed, short, steps, train, train_until};

/// Logged, evaluated and saved at steps that do not coincide, with a learning rate that changes at every step.
const RHYTHM: [&str; 3] = ["train.eval_every=5", "checkpoint.every=4", "schedule.kind=polynomial"];

/// A stop at step 10, between checkpoints and where an evaluation is due, which the resumed run then makes up
/// for. And a stop at step 11 whose checkpoint is lost, like that of a killed run, which continues from step
/// 8.
#[test]
fn a_resumed_run_equals_the_uninterrupted_one() {
    let feedback = ["exchange.error_feedback=true", "exchange.bucket_elements=1000"];
    for exchange in [&["exchange.gradients=ternary"][..], &["exchange.gradients=float32"], &feedback] {
        let loaded = short(&[&RHYTHM[..], exchange].concat());
        for ranks in [1, 3] {
            let straight = tempfile::tempdir().unwrap();
            train(ranks, &loaded, straight.path()).iter().for_each(|rank| assert!(rank.summary().complete));
            for (stop, lost) in [(10, false), (11, true)] {
                let halved = tempfile::tempdir().unwrap();
                let first = train_until(stop, ranks, &loaded, halved.path());
                for rank in &first {
                    assert_eq!((rank.summary().complete, rank.summary().step), (false, stop));
                    let last = rank.notes().pop().unwrap();
                    assert!(
                        last.contains(&format!("after step {stop}")) && last.contains("--resume"),
                        "{last}"
                    );
                }
                if lost {
                    fs::remove_file(at_step(halved.path(), stop)).unwrap();
                }
                let second = resume(ranks, &loaded, halved.path());
                for rank in &second {
                    assert!(rank.summary().complete && rank.notes().is_empty(), "{:?}", rank.notes());
                }
                assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
                assert_same_records(straight.path(), halved.path());
            }
        }
    }
}

/// With one validation sample, evaluations have equal scores and the loss decides. The best one, and the network
/// evaluated on the test set, are the same after an interruption.
#[test]
fn a_resumed_run_chooses_the_same_network() {
    let loaded =
        short(&["data.validation=1", "train.eval_every=1", "checkpoint.every=4", "checkpoint.keep=9"]);
    let straight = tempfile::tempdir().unwrap();
    train(2, &loaded, straight.path());
    let halved = tempfile::tempdir().unwrap();
    train_until(10, 2, &loaded, halved.path());
    resume(2, &loaded, halved.path()).iter().for_each(|rank| assert!(rank.summary().complete));
    let best = |run: &Path| ternflock::checkpoint::load(run.join("checkpoints/best.h5")).unwrap();
    assert_same_state(&best(straight.path()), &best(halved.path()));
    assert!(best(straight.path()).progress.best.unwrap().loss.is_some());
    assert_eq!(metrics(straight.path(), "evaluate"), metrics(halved.path(), "evaluate"));
    let test = |run: &Path| {
        let mut line = metrics(run, "test").remove(0);
        line["checkpoint"].take();
        line
    };
    assert_eq!(test(straight.path()), test(halved.path()));
}

/// As if step 10 of 20 had been the best. A run that has completed all of its steps is judged by the
/// checkpoints that are left, on all ranks, and reports that.
#[test]
fn a_best_checkpoint_that_is_damaged_does_not_fail_a_run_that_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = short(&["train.eval_every=10"]);
    train(2, &loaded, directory.path());
    let mut snapshot = load(directory.path(), 20);
    let last = snapshot.progress.metrics["validation_accuracy"];
    let best = snapshot.progress.best.as_mut().unwrap();
    (best.step, best.value) = (10, 1.0);
    ternflock::checkpoint::save(at_step(directory.path(), 20), &snapshot).unwrap();
    let path = directory.path().join("checkpoints/best.h5");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    for ranks in [1, 2] {
        for rank in resume(ranks, &loaded, directory.path()) {
            let summary = rank.summary();
            let chosen = summary.chosen.as_ref().unwrap();
            assert_eq!((chosen.step, chosen.score.value), (20, last));
            assert_eq!(chosen.checkpoint, at_step(directory.path(), 20));
            assert_eq!(summary.test.as_ref().unwrap().network_step, 20);
            let notes = rank.notes();
            let said = |note: &String| {
                note.contains("best.h5: ")
                    && note.contains("the network of the last step is used instead of that of step 10")
            };
            assert_eq!(notes.iter().filter(|note| said(note)).count(), 1, "{notes:?}");
        }
    }
    assert!(fs::read(&path).unwrap() == bytes);
    // The same if it is gone.
    fs::remove_file(&path).unwrap();
    for rank in resume(2, &loaded, directory.path()) {
        assert_eq!(rank.summary().chosen.as_ref().unwrap().step, 20);
        let notes = rank.notes();
        assert!(
            notes.iter().any(|note| note.contains("best.h5: is missing; the network of the last")),
            "{notes:?}"
        );
    }
}

/// On another number of ranks the loss of the same network differs in its last bits, which is not an
/// improvement.
#[test]
fn a_network_is_not_better_than_itself() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = short(&["train.steps=5"]);
    train(1, &loaded, directory.path());
    // A stored loss slightly above the recomputed one, as another order of sums would give.
    let mut snapshot = load(directory.path(), 5);
    let best = snapshot.progress.best.as_mut().unwrap();
    assert_eq!(best.step, 5);
    best.loss = best.loss.map(|loss| loss * 1.001);
    ternflock::checkpoint::save(at_step(directory.path(), 5), &snapshot).unwrap();
    let before = fs::read(at_step(directory.path(), 5)).unwrap();
    for ranks in [1, 2] {
        for rank in resume(ranks, &loaded, directory.path()) {
            assert_eq!(rank.summary().chosen.as_ref().unwrap().step, 5);
        }
        assert!(fs::read(at_step(directory.path(), 5)).unwrap() == before);
    }
    let best: Vec<_> =
        metrics(directory.path(), "evaluate").iter().map(|line| line["best"].clone()).collect();
    assert_eq!(best, [true, false, false]);
}

/// Its training set was different.
#[test]
fn a_validation_split_of_an_earlier_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = short(&["data.validation=100", "train.steps=4"]);
    train(1, &loaded, directory.path());
    let mut snapshot = load(directory.path(), 4);
    snapshot.job = snapshot.job.replace("validation_seed = 1\n", "");
    ternflock::checkpoint::save(at_step(directory.path(), 4), &snapshot).unwrap();
    let ended = resume(1, &loaded, directory.path());
    let message = ended[0].result.as_ref().err().unwrap().to_string();
    assert!(message.contains("validation split was the end of the training set"), "{message}");
    // Without a split nothing was different.
    let directory = tempfile::tempdir().unwrap();
    let loaded = short(&["data.validation=0", "train.steps=4"]);
    train(1, &loaded, directory.path());
    let mut snapshot = load(directory.path(), 4);
    snapshot.job = snapshot.job.replace("validation_seed = 1\n", "");
    ternflock::checkpoint::save(at_step(directory.path(), 4), &snapshot).unwrap();
    let ended = resume(1, &loaded, directory.path());
    assert!(ended[0].summary().complete);
}

/// Each update rule, with its state; clipped, and at a rate that every kind of schedule has changed by the
/// stop.
#[test]
fn every_optimizer_resumes_to_the_bit() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["optimizer.kind=sgd", "optimizer.momentum=0", "schedule.kind=cosine"], &[]),
        (&["optimizer.kind=sgd", "schedule.kind=inv"], &["momentum"]),
        (&["optimizer.kind=nesterov", "schedule.kind=exponential", "train.global_batch=300"], &["momentum"]),
        (&["optimizer.kind=adam", "schedule.warmup=15"], &["first_moment", "second_moment"]),
        (&["optimizer.kind=adam", "optimizer.decoupled_decay=true"], &["first_moment", "second_moment"]),
        (&["optimizer.kind=lars", "optimizer.trust=0.01"], &["velocity"]),
    ];
    for (optimizer, states) in cases {
        let loaded = short(&[&RHYTHM[..2], &["optimizer.clip_norm=0.5"], optimizer].concat());
        let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(2, &loaded, straight.path());
        train_until(10, 2, &loaded, halved.path());
        resume(2, &loaded, halved.path()).iter().for_each(|rank| assert!(rank.summary().complete));
        let end = load(halved.path(), 20);
        let slots: Vec<_> = end.optimizer.iter().map(|slot| slot.name.as_str()).collect();
        assert_eq!(slots, states, "{optimizer:?}");
        assert_same_state(&load(straight.path(), 20), &end);
    }
}

/// The state of one rule cannot be used by another: neither can be derived from the other.
#[test]
fn the_state_of_another_optimizer_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    train(1, &short(&["train.steps=2"]), directory.path());
    let ended = resume_changed(1, &short(&["train.steps=4", "optimizer.kind=adam"]), directory.path());
    let message = ended[0].result.as_ref().err().unwrap().to_string();
    let said =
        "holds no state `first_moment` of an optimizer (it holds `momentum`): use the [optimizer] it was";
    assert!(message.contains("step-0000000002.h5") && message.contains(said), "{message}");
    // Nesterov's momentum is the same mean of gradients, and plain steps need none.
    for other in [&["optimizer.kind=nesterov"][..], &["optimizer.kind=sgd", "optimizer.momentum=0"]] {
        let ended = resume_changed(1, &short(&[&["train.steps=4"], other].concat()), directory.path());
        assert!(ended[0].summary().complete);
        fs::remove_file(at_step(directory.path(), 4)).unwrap();
    }
}

/// Other slots next to those of an optimizer are not its states.
#[test]
fn residuals_are_no_state_of_an_optimizer() {
    let directory = tempfile::tempdir().unwrap();
    let sets = ["optimizer.momentum=0", "exchange.error_feedback=true"];
    train(2, &short(&[&sets[..], &["train.steps=2"]].concat()), directory.path());
    let ended = resume_changed(2, &short(&["train.steps=4", "optimizer.kind=adam"]), directory.path());
    let message = ended[0].result.as_ref().err().unwrap().to_string();
    assert!(message.contains("optimizer (it holds residuals of error feedback): use"), "{message}");
}

/// Every step was logged once, every evaluation was made once with the same effect, and the same one was the
/// best.
fn assert_same_records(straight: &Path, halved: &Path) {
    assert_eq!(steps(&metrics(halved, "train")), Vec::from_iter(1..=20));
    assert_eq!(metrics(straight, "evaluate"), metrics(halved, "evaluate"));
    assert_eq!(steps(&metrics(halved, "evaluate")), [5, 10, 15, 20]);
    let losses = |run| -> Vec<_> { metrics(run, "train").iter().map(|line| line["loss"].clone()).collect() };
    assert_eq!(losses(straight), losses(halved));
    let best = |run: &Path| ternflock::checkpoint::load(run.join("checkpoints/best.h5")).unwrap();
    assert_same_state(&best(straight), &best(halved));
}

#[test]
fn a_finished_run_goes_on_under_a_longer_job_and_says_what_has_changed() {
    let fixed = |steps| short(&["schedule.kind=fixed", steps]);
    let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train(2, &fixed("train.steps=20"), straight.path());
    train(2, &fixed("train.steps=10"), halved.path());
    let ended = resume_changed(2, &fixed("train.steps=20"), halved.path());
    for rank in &ended {
        assert_eq!(rank.notes(), ["the job differs from the checkpoint's: train.steps: 10 -> 20"]);
    }
    let (mut straight, halved) = (load(straight.path(), 20), load(halved.path(), 20));
    // An evaluation was due at the end of the shorter run.
    straight.progress.best = halved.progress.best.clone();
    assert_same_state(&straight, &halved);
}

#[test]
fn all_that_has_changed_is_said_and_the_job_of_the_directory_is_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    train_until(6, 3, &short(&[]), directory.path());
    let changed = short(&["optimizer.learning_rate=0.01", "exchange.gradients=float32"]);
    let ended = resume_changed(2, &changed, directory.path());
    for rank in &ended {
        let notes = rank.notes();
        let [job, ranks] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(job.contains("exchange.gradients: \"ternary\" -> \"float32\""), "{job}");
        assert!(job.contains("optimizer.learning_rate: 0.02 -> 0.01"), "{job}");
        assert!(ranks.contains("written on 3 ranks, continuing on 2"), "{ranks}");
        assert!(rank.summary().complete);
    }
    let said = metrics(directory.path(), "note");
    assert!(said.iter().any(|note| note["text"].as_str().unwrap().contains("written on 3 ranks")));
    let stored = fs::read_to_string(directory.path().join("job.toml")).unwrap();
    assert_eq!(stored, changed.job.to_toml());
}

#[test]
fn error_feedback_goes_on_on_another_number_of_ranks() {
    let feedback = |steps| short(&["exchange.error_feedback=true", steps]);
    let directory = tempfile::tempdir().unwrap();
    train(3, &feedback("train.steps=5"), directory.path());
    let ended = resume_changed(2, &feedback("train.steps=6"), directory.path());
    let says = |part: &str, ended: &[Ended]| {
        let says =
            |rank: &Ended| rank.summary().complete && rank.notes().iter().any(|note| note.contains(part));
        assert!(ended.iter().all(says), "{:?}", ended[0].notes());
    };
    says("mean of all ranks' residuals", &ended);
    for (step, ranks) in [(5, 3), (6, 2)] {
        let slots = load(directory.path(), step).optimizer;
        let residuals = slots.into_iter().find(|slot| slot.name == "residual").unwrap().tensors;
        assert!(residuals.len() > 1 && residuals.iter().all(|tensor| tensor.shape[0] == ranks));
        assert!(residuals.iter().all(|tensor| tensor.values.iter().any(|value| *value != 0.0)));
    }
    let without = short(&["exchange.error_feedback=false", "train.steps=7"]);
    says("are dropped", &resume_changed(2, &without, directory.path()));
    says("they start from zero", &resume_changed(2, &feedback("train.steps=8"), directory.path()));
}

#[test]
fn state_that_the_optimizer_no_longer_keeps_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    train(2, &short(&["train.steps=3"]), directory.path());
    let plain = short(&["train.steps=4", "optimizer.momentum=0.0"]);
    let note = "the optimizer state `momentum` in the checkpoint is dropped, because the job does not use it";
    for rank in resume_changed(2, &plain, directory.path()) {
        assert!(
            rank.summary().complete && rank.notes().iter().any(|said| said == note),
            "{:?}",
            rank.notes()
        );
    }
}

#[test]
fn another_network_is_refused_and_nothing_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    train(2, &short(&["train.steps=3"]), &run);
    let file = directory.path().join("wider.toml");
    fs::write(&file, fs::read_to_string(JOB).unwrap().replace("units = 64", "units = 65")).unwrap();
    let wider = ternflock::job::load(&file, &[]).unwrap();

    let paths = [at_step(&run, 3), run.join("job.toml"), run.join("metrics.jsonl")];
    let before = paths.clone().map(|path| fs::read(path).unwrap());
    let ended = resume_changed(2, &wider, &run);
    let message = ended[0].result.as_ref().err().unwrap().to_string();
    assert!(message.contains("step-0000000003.h5: holds a network other than the one"), "{message}");
    assert_eq!(ended[1].result.as_ref().err().unwrap().kind(), Kind::Checkpoint);
    assert!(paths.map(|path| fs::read(path).unwrap()) == before);
    assert_eq!(checkpoints(&run), ["best.h5", "step-0000000003.h5"]);
}

#[test]
fn a_finished_run_has_nothing_left_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = short(&["train.steps=5"]);
    train(2, &loaded, directory.path());
    let before = fs::read(at_step(directory.path(), 5)).unwrap();
    for rank in resume(2, &loaded, directory.path()) {
        assert!(rank.summary().complete && rank.summary().score.beats(0.0));
        assert!(rank.losses().is_empty());
    }
    assert_eq!(fs::read(at_step(directory.path(), 5)).unwrap(), before);
}
