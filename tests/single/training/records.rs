//! What a run leaves in its directory, and how it ends when it cannot go on.

use std::fs;

use serde_json::{Value, json};
use ternflock::checkpoint::{self, verify};
use ternflock::error::{Error, Kind};

use crate::digits::{assert_same_state, at_step, checkpoints, load, shipped};
use crate::runs::{Ended, metrics, resume, resume_changed, short, steps, train};

fn is_number(value: &Value) -> bool {
    value.as_f64().is_some_and(f64::is_finite)
}

#[test]
fn every_line_of_the_metrics_has_its_keys() {
    let directory = tempfile::tempdir().unwrap();
    let sets = ["train.log_every=3", "train.eval_every=10", "train.steps=20"];
    let ended = train(2, &shipped(&sets), directory.path());

    let lines = metrics(directory.path(), "train");
    assert_eq!(steps(&lines), [3, 6, 9, 10, 12, 15, 18, 20]);
    for line in &lines {
        let keys = ["epoch", "loss", "accuracy", "learning_rate", "samples_per_s", "bytes_sent"];
        keys.iter().for_each(|key| assert!(is_number(&line[*key]), "{key} in {line}"));
        let phases = ["compute", "encode", "wait", "exchange", "decode", "update"];
        phases.iter().for_each(|phase| assert!(is_number(&line["phases"][*phase]), "{phase} in {line}"));
    }
    let learning_rate = |line: &Value| line["learning_rate"].as_f64().unwrap();
    assert!((learning_rate(&lines[0]) - 0.02 * (1.0 - 2.0 / 20.0)).abs() < 1e-12, "of the last step, 2");
    let per_step = ended[0].summary().traffic.formula_bytes_per_step;
    assert_eq!(lines[0]["bytes_sent"].as_f64(), Some(3.0 * per_step));
    assert_eq!(lines[3]["bytes_sent"].as_f64(), Some(per_step));

    let starts = metrics(directory.path(), "start");
    let [start] = starts.as_slice() else { panic!("{starts:?}") };
    for (key, value) in [("ranks", 2), ("hosts", 1), ("step", 0), ("steps", 20), ("samples", 1438)] {
        assert_eq!(start[key], value, "{key}");
    }
    assert_eq!(start["algorithm"], "ring_ternary");
    assert!(is_number(&start["threads"]) && start["threads_reason"].is_string());
    let evaluations = metrics(directory.path(), "evaluate");
    assert_eq!(steps(&evaluations), [10, 20]);
    assert!(evaluations.iter().all(|line| line["set"] == "test" && line["samples"] == 359));
    let ends = metrics(directory.path(), "end");
    let [end] = ends.as_slice() else { panic!("{ends:?}") };
    assert_eq!((&end["complete"], &end["accuracy"]), (&Value::Bool(true), &evaluations[1]["accuracy"]));
    assert_eq!((&end["status"], &end["exit_code"]), (&json!("complete"), &json!(0)));
    assert!(end["time"].as_str().unwrap().ends_with('Z'), "{end}");
    assert_eq!(end["traffic"]["bytes_per_step"], per_step as f64);
    let job = fs::read_to_string(directory.path().join("job.toml")).unwrap();
    assert_eq!(job, shipped(&sets).job.to_toml());
}

#[test]
fn the_last_checkpoints_and_the_best_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let sets = ["checkpoint.every=3", "checkpoint.keep=2", "train.eval_every=2"];
    train(2, &short(&sets), directory.path());
    let evaluations = metrics(directory.path(), "evaluate");
    let accuracy = |line: &Value| line["accuracy"].as_f64().unwrap();
    let best = evaluations.iter().map(accuracy).fold(0.0, f64::max);
    let first = evaluations.iter().find(|line| accuracy(line) == best).unwrap();
    let stored = checkpoint::load(directory.path().join("checkpoints/best.h5")).unwrap();
    assert_eq!(stored.progress.step, first["step"].as_u64().unwrap());
    assert_eq!(stored.progress.best.unwrap().value, best);
    assert_eq!(stored.progress.metrics["test_accuracy"], best);
    let written = steps(&metrics(directory.path(), "checkpoint"));
    let newest: Vec<_> = written[written.len() - 2..].iter().map(|s| format!("step-{s:010}.h5")).collect();
    assert_eq!(checkpoints(directory.path()), [&["best.h5".to_string()], newest.as_slice()].concat());

    let directory = tempfile::tempdir().unwrap();
    train(2, &short(&[&sets[..], &["checkpoint.best=false"]].concat()), directory.path());
    assert_eq!(steps(&metrics(directory.path(), "checkpoint")), [3, 6, 9, 12, 15, 18, 20]);
    assert_eq!(checkpoints(directory.path()), ["step-0000000018.h5", "step-0000000020.h5"]);
}

#[test]
fn samples_held_out_are_evaluated_on_and_not_trained_on() {
    let directory = tempfile::tempdir().unwrap();
    let ended = train(3, &short(&["data.validation=301"]), directory.path());
    assert!(ended.iter().all(|rank| rank.summary().set == "validation"));
    let evaluations = metrics(directory.path(), "evaluate");
    assert!(evaluations.iter().all(|line| line["set"] == "validation" && line["samples"] == 301));
    assert_eq!(metrics(directory.path(), "start")[0]["samples"], 1438 - 301);
    assert!(load(directory.path(), 20).progress.metrics.contains_key("validation_accuracy"));
}

#[test]
fn a_run_never_overwrites_another() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = short(&["train.steps=4"]);
    train(2, &loaded, directory.path());
    let before = fs::read(at_step(directory.path(), 4)).unwrap();
    let lines = fs::read(directory.path().join("metrics.jsonl")).unwrap();
    let refused = |ended: Vec<Ended>, part: &str| {
        let message = ended[0].result.as_ref().err().unwrap().to_string();
        assert!(message.contains(part), "{message}");
        assert!(ended.iter().all(|rank| rank.result.as_ref().err().unwrap().kind() == Kind::RunDir));
    };
    refused(train(2, &loaded, directory.path()), "holds a run already; continue it with --resume");
    assert_eq!(fs::read(at_step(directory.path(), 4)).unwrap(), before);
    assert_eq!(fs::read(directory.path().join("metrics.jsonl")).unwrap(), lines);

    let empty = tempfile::tempdir().unwrap();
    refused(resume(2, &loaded, empty.path()), "holds no run to resume");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);

    let file = empty.path().join("file");
    fs::write(&file, "").unwrap();
    refused(train(2, &loaded, &file.join("run")), "cannot be written");
}

/// The first step makes the parameters huge but finite; the second is where it shows.
#[test]
fn a_run_that_diverges_says_where_on_all_ranks_and_keeps_its_checkpoints() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = short(&["optimizer.learning_rate=1e30", "checkpoint.every=1"]);
    let ended = train(3, &loaded, directory.path());
    let said: Vec<_> = ended.iter().map(|e| e.result.as_ref().err().unwrap().to_string()).collect();
    assert!(said.iter().all(|message| message == &said[0]), "{said:?}");
    for rank in &ended {
        let Err(Error::NonFinite { step: 1, rank: 0, what }) = &rank.result else {
            panic!("{:?}", rank.result)
        };
        for part in ["the loss is", "layer `conv2`", "learning rate"] {
            assert!(what.contains(part), "no {part} in {what}");
        }
    }
    assert_eq!(checkpoints(directory.path()), ["step-0000000001.h5"]);
    verify(at_step(directory.path(), 1)).unwrap();
    let before = load(directory.path(), 1);

    let ends = metrics(directory.path(), "end");
    let [end] = ends.as_slice() else { panic!("{ends:?}") };
    let shown = ["step", "complete", "status", "exit_code", "error"].map(|key| end[key].clone());
    assert_eq!(shown, [json!(1), json!(false), json!("diverged"), json!(6), json!(said[0])]);
    assert!(end["time"].as_str().unwrap().starts_with("20"), "{end}");

    // Nothing has changed, so it would end the same way.
    let lines = fs::read(directory.path().join("metrics.jsonl")).unwrap();
    let again = resume(3, &loaded, directory.path());
    let message = again[0].result.as_ref().err().unwrap().to_string();
    assert!(message.contains("this run has diverged") && message.contains("--allow-changes"), "{message}");
    assert!(again.iter().all(|rank| rank.result.as_ref().err().unwrap().kind() == Kind::RunDir));
    assert_eq!(fs::read(directory.path().join("metrics.jsonl")).unwrap(), lines);
    // Whoever insists is told the same once more.
    let again = resume_changed(3, &loaded, directory.path());
    assert_eq!(again[0].result.as_ref().err().unwrap().to_string(), said[0]);
    assert_same_state(&load(directory.path(), 1), &before);
}

/// The shipped job as it is: 2-bit gradients learn the digits.
#[test]
fn the_digits_are_learnt() {
    let directory = tempfile::tempdir().unwrap();
    let ended = train(2, &shipped(&[]), directory.path());
    let summary = ended[0].summary();
    assert!(summary.score.beats(0.95), "{:?}", summary.score);
    let traffic = summary.traffic;
    assert_eq!(traffic.bytes_per_step, traffic.formula_bytes_per_step);
    assert!(traffic.bytes_per_step < 0.2 * traffic.float32_bytes_per_step as f64);
}
