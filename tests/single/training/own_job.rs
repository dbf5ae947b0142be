//! A resumed run continues with its own job and its own data, or reports what differs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::digits::{assert_same_state, at_step, load};
use ternflock::error::{Error, Kind};
use ternflock::job::Loaded;

use crate::runs::{Ended, metrics, resume, resume_changed, short, train, train_and, train_until};

/// Every rank ends: the first reports the reason, the others that it ended. Returns the message; `run` is unchanged.
fn refused(kind: Kind, run: &Path, resume: impl FnOnce() -> Vec<Ended>) -> String {
    let content = || -> Vec<Vec<u8>> {
        let names = ["job.toml", "run.toml", "metrics.jsonl", "checkpoints/step-0000000010.h5"];
        names.iter().map(|name| fs::read(run.join(name)).unwrap()).collect()
    };
    let before = content();
    let mut ended = resume();
    assert!(content() == before);
    let first = ended.remove(0).result.unwrap_err();
    assert_eq!(first.kind(), kind, "{first}");
    for rank in ended {
        assert!(matches!(rank.result, Err(Error::Elsewhere { rank: 0, .. })), "{:?}", rank.result);
    }
    first.to_string()
}

/// The overrides of the start apply, whether repeated or not, and cause no note.
#[test]
fn the_overrides_of_the_start_hold() {
    let own = ["exchange.gradients=float32", "schedule.kind=inv", "optimizer.kind=nesterov"];
    let asked = ["train.log_every=1", "exchange.verify_every=1", "train.steps=20"];
    for ranks in [1, 3] {
        let straight = tempfile::tempdir().unwrap();
        train(ranks, &short(&own), straight.path());
        for again in [&[][..], &own, &own[..1], &asked] {
            let halved = tempfile::tempdir().unwrap();
            train_until(10, ranks, &short(&own), halved.path());
            let before = ["job.toml", "run.toml"].map(|name| fs::read(halved.path().join(name)).unwrap());
            for rank in resume(ranks, &support::digits::shipped(again), halved.path()) {
                assert!(rank.summary().complete && rank.notes().is_empty(), "{:?}", rank.notes());
            }
            assert_same_state(&load(straight.path(), 20), &load(halved.path(), 20));
            assert!(
                before == ["job.toml", "run.toml"].map(|name| fs::read(halved.path().join(name)).unwrap())
            );
        }
    }
}

#[test]
fn what_differs_is_listed_on_one_rank_and_ends_all() {
    for ranks in [1, 3] {
        let run = tempfile::tempdir().unwrap();
        train_until(10, ranks, &short(&["exchange.gradients=float32"]), run.path());
        let sets = ["optimizer.learning_rate=0.5", "exchange.gradients=ternary", "train.epochs=7"];
        let asked = support::digits::shipped(&sets);
        let message = refused(Kind::Usage, run.path(), || resume(ranks, &asked, run.path()));
        for line in [
            "exchange.gradients: \"float32\" in the run, \"ternary\" requested (--set exchange.gradients=ternary)",
            "optimizer.learning_rate: 0.02 in the run, 0.5 requested (--set optimizer.learning_rate=0.5)",
            "train.epochs: not set in the run, 7 requested (--set train.epochs=7)",
            "train.steps: 20 in the run, not set requested",
        ] {
            assert!(message.contains(&format!("\n  {line}")), "no `{line}` in {message}");
        }
        assert_eq!(message.lines().count(), 6, "{message}");
        assert!(message.ends_with("resumes it unchanged; --allow-changes accepts the changes"), "{message}");
    }
}

/// A value in the job file counts only if no override of the run replaces it.
#[test]
fn a_job_file_that_was_edited_counts_where_no_override_stands() {
    let (run, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = files.path().join("lenet-digits.toml");
    let text = fs::read_to_string(support::digits::JOB).unwrap();
    let edited = |from: &str, to: &str| -> Loaded {
        assert!(text.contains(from));
        fs::write(&file, text.replace(from, to)).unwrap();
        ternflock::job::load(&file, &[]).unwrap()
    };
    train_until(10, 2, &short(&[]), run.path());
    let message = refused(Kind::Usage, run.path(), || {
        resume(2, &edited("learning_rate = 0.02", "learning_rate = 0.03"), run.path())
    });
    assert!(message.contains("\n  optimizer.learning_rate: 0.02 in the run, 0.03 requested ("), "{message}");
    assert!(message.contains("lenet-digits.toml:"), "{message}");
    let ended = resume(2, &edited("epochs = 30", "epochs = 31"), run.path());
    assert!(ended[0].summary().complete && ended[0].notes().is_empty(), "{:?}", ended[0].notes());
    assert!(load(run.path(), 20).job.contains("steps = 20"));
}

/// Allowed changes apply from then on.
#[test]
fn changes_hold_from_then_on() {
    let run = tempfile::tempdir().unwrap();
    train_until(5, 2, &short(&[]), run.path());
    fs::remove_file(at_step(run.path(), 5)).unwrap();
    let changed = short(&["optimizer.learning_rate=0.01", "train.steps=8"]);
    for rank in resume_changed(2, &changed, run.path()) {
        let notes = rank.notes();
        let [start, differs] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(start.contains("no checkpoint yet"), "{start}");
        assert_eq!(
            differs,
            "the job differs from the run's: optimizer.learning_rate: 0.02 -> 0.01; train.steps: 20 -> 8"
        );
    }
    for asked in [short(&["train.steps=8"]), support::digits::shipped(&[]), changed] {
        assert!(resume(2, &asked, run.path())[0].summary().complete);
    }
    let record = fs::read_to_string(run.path().join("run.toml")).unwrap();
    assert_eq!(record.matches("optimizer.learning_rate=0.01").count(), 1, "{record}");
    let straight = tempfile::tempdir().unwrap();
    train(2, &short(&["optimizer.learning_rate=0.01", "train.steps=8"]), straight.path());
    assert_same_state(&load(straight.path(), 8), &load(run.path(), 8));
}

/// A run of a version without records still has its own job.
#[test]
fn a_run_without_a_record_knows_its_job() {
    let run = tempfile::tempdir().unwrap();
    let own = ["exchange.gradients=float32"];
    train_until(10, 2, &short(&own), run.path());
    let record = fs::read(run.path().join("run.toml")).unwrap();
    let forget = || fs::remove_file(run.path().join("run.toml")).unwrap();
    forget();
    let ended = resume(2, &short(&[]), run.path());
    let message = ended[0].result.as_ref().err().unwrap().to_string();
    assert!(message.contains("exchange.gradients: \"float32\" in the run"), "{message}");
    assert!(resume(2, &short(&own), run.path())[0].summary().complete);
    // The resumed run has written one, which does not contain the overrides.
    let kept = fs::read_to_string(run.path().join("run.toml")).unwrap();
    assert!(kept.contains("sets = []"), "{kept}");

    // Without job.toml, the newest checkpoint provides the job.
    fs::remove_file(run.path().join("job.toml")).unwrap();
    fs::write(run.path().join("run.toml"), record).unwrap();
    assert!(resume(2, &short(&own), run.path())[0].summary().complete);
    assert!(fs::read_to_string(run.path().join("job.toml")).unwrap().contains("gradients = \"float32\""));
    fs::remove_file(run.path().join("job.toml")).unwrap();
    forget();
    let message = resume(2, &short(&[]), run.path())[0].result.as_ref().err().unwrap().to_string();
    assert!(message.contains("exchange.gradients: \"float32\" in the run"), "{message}");
}

#[test]
fn a_job_of_the_run_that_was_edited_is_refused() {
    let run = tempfile::tempdir().unwrap();
    train_until(10, 2, &short(&[]), run.path());
    let path = run.path().join("job.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("momentum = 0.9", "momentum = 0.4")).unwrap();
    let message = refused(Kind::RunDir, run.path(), || resume(2, &short(&[]), run.path()));
    assert!(message.contains("job.toml: was changed since the run wrote it: restore it"), "{message}");
    // As `train --resume RUN_DIR` reads it.
    let edited = ternflock::job::load(&path, &[]).unwrap();
    let ended = resume_changed(2, &edited, run.path());
    let said = "the job differs from the checkpoint's: optimizer.momentum: 0.9 -> 0.4";
    assert_eq!(ended[1].notes(), [said]);
    let edited = ternflock::job::load(&path, &[]).unwrap();
    assert!(resume(2, &edited, run.path())[0].summary().complete);
}

/// Steps never go backwards.
#[test]
fn a_run_beyond_the_end_of_its_job_is_refused() {
    for ranks in [1, 2] {
        let run = tempfile::tempdir().unwrap();
        train_until(10, ranks, &short(&[]), run.path());
        let shorter = short(&["train.steps=9"]);
        let message = refused(Kind::Checkpoint, run.path(), || resume_changed(ranks, &shorter, run.path()));
        assert!(
            message.contains("step-0000000010.h5: is at step 10, and the job ends after 9: "),
            "{message}"
        );
        for rank in resume_changed(ranks, &short(&["train.steps=10"]), run.path()) {
            assert!(rank.summary().complete && rank.losses().is_empty());
            let last = rank.notes().pop().unwrap();
            assert_eq!(last, "the run is complete already: all of its 10 steps are done");
        }
    }
}

#[test]
fn how_a_run_has_ended_is_written_down() {
    let run = tempfile::tempdir().unwrap();
    train_until(10, 2, &short(&[]), run.path());
    let shown = |end: &Value| ["step", "complete", "status", "exit_code"].map(|key| end[key].clone());
    let ends = || metrics(run.path(), "end").iter().map(shown).collect::<Vec<_>>();
    let interrupted = [json!(10), json!(false), json!("interrupted"), json!(75)];
    let complete = [json!(20), json!(true), json!("complete"), json!(0)];
    assert_eq!(ends(), std::slice::from_ref(&interrupted));
    assert!(resume(2, &short(&[]), run.path())[0].notes().is_empty());
    assert_eq!(ends(), [interrupted, complete]);

    // A killed run writes no end event.
    let path = run.path().join("metrics.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.contains("\"complete\":true"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&path, without).unwrap();
    fs::remove_file(at_step(run.path(), 20)).unwrap();
    for rank in resume(2, &short(&[]), run.path()) {
        assert_eq!(rank.notes(), ["the run was cut off: it did not record how it ended"]);
    }

    // An error other than divergence: a checkpoint that cannot be written.
    let run = tempfile::tempdir().unwrap();
    let in_the_way = run.path().join("checkpoints/step-0000000005.h5/in the way");
    let ended = train_and(2, &short(&["checkpoint.every=5"]), run.path(), |event| {
        if event.step() == 4 {
            fs::create_dir_all(&in_the_way).unwrap();
        }
    });
    let message = ended[0].result.as_ref().err().unwrap().to_string();
    assert!(message.contains("step-0000000005.h5: cannot"), "{message}");
    let ends = metrics(run.path(), "end");
    assert_eq!(shown(&ends[0]), [json!(5), json!(false), json!("failed"), json!(4)]);
    assert_eq!(ends[0]["error"], message);
}
