//! The choice of an all-reduce does not change results. Only the choice of compression does, and a run makes
//! it once.

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::digits::{assert_same_state, at_step, load};
use ternflock::checkpoint::{Snapshot, save};
use ternflock::job::{Algorithm, Gradients};

use crate::runs::{Ended, metrics, resume, resume_changed, short, train, train_until};

const AUTO: &str = "exchange.algorithm=auto";

/// The result of a run with `sets` on `ranks` ranks for 4 steps.
fn trained(ranks: usize, sets: &[&str]) -> (Snapshot, Vec<Ended>, Value) {
    let directory = tempfile::tempdir().unwrap();
    let ended = train(ranks, &short(&[&["train.steps=4"], sets].concat()), directory.path());
    assert!(ended.iter().all(|rank| rank.summary().complete));
    let start = metrics(directory.path(), "start").remove(0);
    (load(directory.path(), 4), ended, start)
}

/// Stores `snapshot`, of step 10, as if the run in `directory` had been started with its job.
fn store_as_begun(directory: &Path, snapshot: &Snapshot) {
    save(at_step(directory, 10), snapshot).unwrap();
    fs::write(directory.join("job.toml"), &snapshot.job).unwrap();
    fs::remove_file(directory.join("run.toml")).unwrap();
}

#[test]
fn every_algorithm_trains_to_the_same_bits() {
    for ranks in [1, 2, 3, 5] {
        let (expected, ..) = trained(ranks, &[]);
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::Auto) {
            let name = algorithm.name();
            let (state, ended, start) = trained(ranks, &[&format!("exchange.algorithm={name}")]);
            assert_same_state(&state, &expected);
            assert_eq!(start["algorithm"], name);
            let traffic = ended[0].summary().traffic;
            assert_eq!(traffic.bytes_per_step, traffic.formula_bytes_per_step, "{name}, {ranks} ranks");
        }
    }
}

/// The ranks are on one node, so that only `always` codes. With one rank there is nothing to send.
#[test]
fn coded_messages_train_to_the_same_bits_with_fewer_bytes() {
    for ranks in [1, 3] {
        let (expected, ended, _) = trained(ranks, &["exchange.coding=never"]);
        let fixed = ended[0].summary().traffic;
        assert_eq!((fixed.bytes_per_step, fixed.is_bound), (fixed.formula_bytes_per_step, false));
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::Auto) {
            let name = algorithm.name();
            let by = format!("exchange.algorithm={name}");
            let (state, ended, start) = trained(ranks, &[&by, "exchange.coding=always"]);
            assert_same_state(&state, &expected);
            assert_eq!(start["algorithm"], name);
            let traffic = ended[0].summary().traffic;
            assert!(traffic.is_bound);
            assert!(ranks == 1 || traffic.bytes_per_step < traffic.formula_bytes_per_step, "{name}");
            assert!(traffic.bytes_per_step <= traffic.formula_bytes_per_step, "{name}");
        }
    }
}

/// Which one is faster depends on the machine; the test checks that the run uses the choice that it reports.
#[test]
fn auto_does_what_it_says() {
    for ranks in [2, 3, 5] {
        let (state, ended, start) = trained(ranks, &[AUTO]);
        let notes = ended[0].notes();
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(ended.iter().all(|rank| rank.notes() == notes));
        let said = note.strip_prefix("exchange.algorithm = \"auto\": ").unwrap();
        let algorithm = start["algorithm"].as_str().unwrap();
        let gradients = match said.strip_prefix("float32 is faster here: compression is off (ring_f32 ") {
            Some(_) => Gradients::Float32,
            None => Gradients::Ternary,
        };
        match gradients {
            Gradients::Float32 => {
                assert_eq!((algorithm, &start["ternary_parameters"]), ("ring_f32", &0.into()))
            }
            _ => assert!(said.starts_with(&format!("{algorithm}, ")), "{note}"),
        }
        assert!(said.contains("according to the cost model") && said.contains("within a node"), "{note}");
        assert_eq!(state.progress.gradients, Some(gradients));
        let (expected, ..) = trained(ranks, &[&format!("exchange.gradients={}", gradients.name())]);
        assert_same_state(&state, &expected);
    }
}

#[test]
fn there_is_nothing_to_choose_for_one_rank_or_without_ternaries() {
    for (ranks, sets) in [
        (1, &[AUTO][..]),
        (3, &[AUTO, "exchange.gradients=float32"]),
        (3, &[AUTO, "exchange.min_elements=1000000"]),
    ] {
        let (state, ended, _) = trained(ranks, sets);
        assert!(ended.iter().all(|rank| rank.notes().is_empty()), "{:?}", ended[0].notes());
        assert_same_state(&state, &trained(ranks, &sets[1..]).0);
    }
}

/// The checkpoint of a run that averaged gradients by one method, resumed under a job that leaves the choice
/// to the ranks: they continue with that method, whatever they would choose now. Files of earlier versions do
/// not record the method, but their jobs do.
#[test]
fn a_resumed_run_keeps_what_it_decided() {
    let auto = short(&[AUTO]);
    for (gradients, stored) in [
        (Gradients::Ternary, Some(Gradients::Ternary)),
        (Gradients::Float32, Some(Gradients::Float32)),
        (Gradients::Ternary, None),
    ] {
        let fixed = short(&[&format!("exchange.gradients={}", gradients.name())]);
        let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(3, &fixed, straight.path());
        train_until(10, 3, &fixed, halved.path());
        let mut snapshot = load(halved.path(), 10);
        assert_eq!(snapshot.progress.gradients, Some(gradients));
        snapshot.job = auto.job.to_toml();
        snapshot.progress.gradients = stored;
        store_as_begun(halved.path(), &snapshot);
        for rank in resume(3, &auto, halved.path()) {
            let notes = rank.notes();
            let [note] = notes.as_slice() else { panic!("{notes:?}") };
            let kept = match gradients {
                Gradients::Float32 => "compression stays off".to_owned(),
                other => format!("gradients stay {}", other.name()),
            };
            assert!(note.contains(&kept), "{note}");
        }
        assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
    }
}

const ANY: [&str; 2] = ["exchange.gradients=auto", "exchange.auto_among=all"];

/// By default only exact methods are candidates. With all of them, the run uses the one that it reports, and says what is
/// given up.
#[test]
fn auto_chooses_a_method() {
    for (ranks, sets) in [(2, &ANY[..1]), (3, &ANY)] {
        let (state, ended, _) = trained(ranks, sets);
        let notes = ended[0].notes();
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(ended.iter().all(|rank| rank.notes() == notes));
        let said = note.strip_prefix("exchange.gradients = \"auto\": ").unwrap();
        let gradients = state.progress.gradients.unwrap();
        assert!(said.starts_with(gradients.name()), "{note}");
        assert_eq!(gradients == Gradients::Float32, !said.contains("it gives up exactness"), "{note}");
        if sets.len() == 1 {
            assert!(
                gradients == Gradients::Float32 && said.contains("only exact methods were candidates"),
                "{note}"
            );
        } else {
            assert!(Gradients::all().all(|candidate| said.contains(candidate.name())), "{note}");
        }
        let (expected, ..) = trained(ranks, &[&format!("exchange.gradients={}", gradients.name())]);
        assert_same_state(&state, &expected);
    }
    // An exact method has no layers of low rank, before the choice and after it.
    let (state, ..) = trained(2, &[ANY[0], "exchange.low_rank=[\"hidden\"]"]);
    let (expected, ..) = trained(2, &["exchange.gradients=float32"]);
    assert_same_state(&state, &expected);
    let (state, ended, _) = trained(1, &ANY);
    // One rank has nothing to choose: the choice stays open for a later number of ranks.
    assert!(ended[0].notes().is_empty() && state.progress.gradients.is_none());
}

/// A resumed run keeps the method that it chose, with the state that this keeps, whatever it would choose now.
#[test]
fn a_resumed_run_keeps_the_method_and_its_state() {
    let auto = short(&ANY);
    for gradients in Gradients::all() {
        let fixed = short(&[&format!("exchange.gradients={}", gradients.name())]);
        let (straight, halved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(3, &fixed, straight.path());
        train_until(10, 3, &fixed, halved.path());
        let mut snapshot = load(halved.path(), 10);
        snapshot.job = auto.job.to_toml();
        store_as_begun(halved.path(), &snapshot);
        for rank in resume(3, &auto, halved.path()) {
            let notes = rank.notes();
            let [note] = notes.as_slice() else { panic!("{notes:?}") };
            let stays = format!("gradients stay {}, as earlier in this run", gradients.name());
            assert!(note.ends_with(&stays), "{note}");
        }
        assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
    }
}

/// A job that asks for other gradients than before leads to a new decision.
#[test]
fn a_changed_job_is_decided_anew() {
    let directory = tempfile::tempdir().unwrap();
    train_until(6, 2, &short(&["exchange.gradients=float32"]), directory.path());
    for rank in resume_changed(2, &short(&[AUTO, "exchange.gradients=ternary"]), directory.path()) {
        let notes = rank.notes();
        let [differs, choice] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(differs.contains("exchange.gradients: \"float32\" -> \"ternary\""), "{differs}");
        assert!(choice.contains("according to the cost model") && !choice.contains("stay"), "{choice}");
    }
}
