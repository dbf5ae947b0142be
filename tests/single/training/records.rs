//! The files that a run leaves in its directory, and its end when it cannot continue.

use std::fs;

use serde_json::{Value, json};
use support::digits::{assert_same_state, at_step, checkpoints, load, shipped};
use support::ranks::on_ranks;
use ternflock::checkpoint::{self, verify};
use ternflock::error::{Error, Kind};
use ternflock::job::{Metric, Task};
use ternflock::nn::Execution;
use ternflock::report::{Count, Event, Score};
use ternflock::train::{Evaluator, evaluate, open_test_set, restore_network};

use crate::runs::{Ended, metrics, resume, resume_changed, short, steps, train};

/// The best evaluation: the first with the highest accuracy and, among these, the lowest loss.
fn best_of(evaluations: &[Value]) -> Value {
    let key = |line: &Value| (line["accuracy"].as_f64().unwrap(), -line["loss"].as_f64().unwrap());
    let better = |best: Value, line: &Value| if key(line) > key(&best) { line.clone() } else { best };
    evaluations.iter().fold(evaluations[0].clone(), better)
}

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
    for (key, value) in [("ranks", 2), ("hosts", 1), ("step", 0), ("steps", 20), ("samples", 1295)] {
        assert_eq!(start[key], value, "{key}");
    }
    assert_eq!((&start["algorithm"], &start["set"]), (&json!("ring_ternary"), &json!("validation")));
    assert!(is_number(&start["threads"]) && start["threads_reason"].is_string());
    let evaluations = metrics(directory.path(), "evaluate");
    assert_eq!(steps(&evaluations), [10, 20]);
    assert!(evaluations.iter().all(|line| line["set"] == "validation" && line["samples"] == 143));
    let tests = metrics(directory.path(), "test");
    let [test] = tests.as_slice() else { panic!("{tests:?}") };
    assert_eq!((&test["step"], &test["set"], &test["samples"]), (&json!(20), &json!("test"), &json!(359)));
    let ends = metrics(directory.path(), "end");
    let [end] = ends.as_slice() else { panic!("{ends:?}") };
    assert_eq!((&end["complete"], &end["accuracy"]), (&Value::Bool(true), &evaluations[1]["accuracy"]));
    assert_eq!((&end["status"], &end["exit_code"]), (&json!("complete"), &json!(0)));
    assert!(end["time"].as_str().unwrap().ends_with('Z'), "{end}");
    let best = best_of(&evaluations);
    for key in ["step", "accuracy", "loss"] {
        assert_eq!(end["chosen"][key], best[key], "{key}");
    }
    assert_eq!((&end["test"]["network_step"], &end["test"]["accuracy"]), (&best["step"], &test["accuracy"]));
    assert_eq!((&end["test"]["loss"], &end["test"]["samples"]), (&test["loss"], &test["samples"]));
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
    let best = best_of(&evaluations);
    let stored = checkpoint::load(directory.path().join("checkpoints/best.h5")).unwrap();
    assert_eq!(stored.progress.step, best["step"].as_u64().unwrap());
    let (value, loss) = (best["accuracy"].as_f64().unwrap(), best["loss"].as_f64());
    let stored_best = stored.progress.best.unwrap();
    assert_eq!((stored_best.value, stored_best.loss), (value, loss));
    assert_eq!(stored.progress.metrics["validation_accuracy"], value);
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
    refused(train(2, &loaded, directory.path()), "already holds a run; continue it with --resume");
    assert_eq!(fs::read(at_step(directory.path(), 4)).unwrap(), before);
    assert_eq!(fs::read(directory.path().join("metrics.jsonl")).unwrap(), lines);

    let empty = tempfile::tempdir().unwrap();
    refused(resume(2, &loaded, empty.path()), "holds no run to resume");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);

    let file = empty.path().join("file");
    fs::write(&file, "").unwrap();
    refused(train(2, &loaded, &file.join("run")), "cannot be written");
}

/// The learning rate jumps after half of the run and destroys what was learnt. An earlier network is therefore
/// chosen, and it is evaluated on the test set, once.
#[test]
fn the_chosen_network_is_tested_once_on_any_number_of_ranks() {
    let jump = ["schedule.kind=multistep", "schedule.milestones=[12]", "schedule.gamma=100"];
    let loaded = short(&[&jump[..], &["train.eval_every=4"]].concat());
    for ranks in [1, 3] {
        let directory = tempfile::tempdir().unwrap();
        let ended = train(ranks, &loaded, directory.path());
        let best = best_of(&metrics(directory.path(), "evaluate"));
        let step = best["step"].as_u64().unwrap();
        assert!(step < 20, "{best}");
        let path = directory.path().join("checkpoints/best.h5");
        let snapshot = checkpoint::load(&path).unwrap();
        let tally = on_ranks(ranks, |mut world| {
            let test = open_test_set(&loaded.job.data, None, None).unwrap();
            let mut network = restore_network(&path, &snapshot, Execution::float32(64)).unwrap();
            evaluate(&mut Evaluator::new(test, &Task::default()).unwrap(), &mut network, &mut world)
                .unwrap()
                .tally
        })[0];
        for rank in &ended {
            let tested: Vec<_> = rank
                .events
                .iter()
                .filter_map(|event| match event {
                    Event::Test { test, checkpoint, .. } => Some((test.clone(), checkpoint.clone())),
                    _ => None,
                })
                .collect();
            let [(test, checkpoint)] = &tested[..] else { panic!("{tested:?}") };
            assert_eq!((test.network_step, checkpoint), (step, &path));
            assert_eq!(
                (test.score, test.samples),
                (Score::new(Metric::Accuracy, tally.accuracy()), Count::Samples(359))
            );
            assert!((test.loss.unwrap() - tally.mean_loss()).abs() < 1e-6, "{test:?} {tally:?}");
            let chosen = rank.summary().chosen.as_ref().unwrap();
            assert_eq!((chosen.step, &chosen.checkpoint), (step, &path));
            assert_eq!(Some(chosen.score.value), best["accuracy"].as_f64());
            assert!(rank.events.iter().all(|event| !matches!(event, Event::Evaluate { set: "test", .. })));
        }
        // If the best is not kept, the run leaves the last network.
        let other = tempfile::tempdir().unwrap();
        let sets = [&jump[..], &["train.eval_every=4", "checkpoint.best=false"]].concat();
        let ended = train(ranks, &short(&sets), other.path());
        let chosen = ended[0].summary().chosen.as_ref().unwrap();
        assert_eq!((chosen.step, &chosen.checkpoint), (20, &at_step(other.path(), 20)));
        assert_eq!(ended[0].summary().test.as_ref().unwrap().network_step, 20);
        assert!(ended[0].summary().test.as_ref().unwrap().score.value < tally.accuracy());
    }
}

/// The set that chooses is not evaluated a second time, and the run reports that it chose.
#[test]
fn a_job_may_choose_on_the_test_set_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let ended = train(2, &short(&["data.validation=0", "train.eval_every=10"]), directory.path());
    for rank in &ended {
        let said = "the network is chosen on the test set (data.validation = 0)";
        assert!(rank.notes().iter().any(|note| note.starts_with(said)), "{:?}", rank.notes());
    }
    assert_eq!(metrics(directory.path(), "start")[0]["samples"], 1438);
    let evaluations = metrics(directory.path(), "evaluate");
    assert!(evaluations.iter().all(|line| line["set"] == "test" && line["samples"] == 359));
    assert!(metrics(directory.path(), "test").is_empty());
    let (end, best) = (metrics(directory.path(), "end").remove(0), best_of(&evaluations));
    for key in ["accuracy", "loss"] {
        assert_eq!((&end["test"][key], &end["chosen"][key]), (&best[key], &best[key]));
    }
    assert_eq!((&end["set"], &end["test"]["samples"]), (&json!("test"), &json!(359)));
    let other = tempfile::tempdir().unwrap();
    let ended = train(1, &short(&[]), other.path());
    assert!(ended[0].notes().is_empty(), "{:?}", ended[0].notes());
}

/// With one validation sample, all correct evaluations have the same accuracy, and the lowest loss is the best.
#[test]
fn of_equal_scores_the_lowest_loss_is_the_best() {
    let directory = tempfile::tempdir().unwrap();
    let sets = ["data.validation=1", "train.steps=60", "train.eval_every=5", "exchange.gradients=float32"];
    train(1, &short(&sets), directory.path());
    let evaluations = metrics(directory.path(), "evaluate");
    let right: Vec<_> = evaluations.iter().filter(|line| line["accuracy"] == 1.0).collect();
    let stored = checkpoint::load(directory.path().join("checkpoints/best.h5")).unwrap();
    let step = stored.progress.step;
    assert_eq!(step, best_of(&evaluations)["step"].as_u64().unwrap());
    assert!(right.len() > 2 && step > right[0]["step"].as_u64().unwrap(), "{right:?}");
    let said: Vec<_> = evaluations.iter().filter(|line| line["best"] == true).collect();
    assert_eq!(said.last().unwrap()["step"], step);
}

/// The first step makes the parameters huge but finite; the second one reveals it.
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

    // Nothing has changed, so the run would end the same way.
    let lines = fs::read(directory.path().join("metrics.jsonl")).unwrap();
    let again = resume(3, &loaded, directory.path());
    let message = again[0].result.as_ref().err().unwrap().to_string();
    assert!(message.contains("this run has diverged") && message.contains("--allow-changes"), "{message}");
    assert!(again.iter().all(|rank| rank.result.as_ref().err().unwrap().kind() == Kind::RunDir));
    assert_eq!(fs::read(directory.path().join("metrics.jsonl")).unwrap(), lines);
    // A second attempt gets the same message.
    let again = resume_changed(3, &loaded, directory.path());
    assert_eq!(again[0].result.as_ref().err().unwrap().to_string(), said[0]);
    assert_same_state(&load(directory.path(), 1), &before);
}

/// The shipped job, unchanged: 2-bit gradients learn the digits.
#[test]
fn the_digits_are_learnt() {
    let directory = tempfile::tempdir().unwrap();
    let ended = train(2, &shipped(&[]), directory.path());
    let summary = ended[0].summary();
    assert!(summary.score.beats(0.95), "{:?}", summary.score);
    let test = summary.test.as_ref().unwrap();
    assert!(test.score.beats(0.93), "{test:?}");
    let traffic = summary.traffic;
    assert_eq!(traffic.bytes_per_step, traffic.formula_bytes_per_step);
    assert!(traffic.bytes_per_step < 0.2 * traffic.float32_bytes_per_step as f64);
}
