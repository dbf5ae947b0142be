//! The set that chooses a network, and what is reported about the test set.

use serde_json::{Value, json};
use support::program::Place;

use crate::PROGRAM;
use crate::data::{FILES, idx};

/// A place with training files in `pictures/` that have these `labels`, and test files with twenty pictures of all
/// classes. Class k is a bright column k, or row k - 8.
fn place(labels: &[u8]) -> Place {
    let place = Place::new(PROGRAM);
    let bright = |label: u8, at: u8| if label < 8 { at % 8 == label } else { at / 8 == label - 8 };
    let pixels = |labels: &[u8]| -> Vec<u8> {
        labels.iter().flat_map(|&label| (0..64).map(move |at| 255 * u8::from(bright(label, at)))).collect()
    };
    let test: Vec<u8> = (0..20).map(|i| i % 10).collect();
    for (files, labels) in FILES.chunks(2).zip([labels, &test]) {
        let count = labels.len() as u32;
        place.write(&format!("pictures/{}", files[0]), idx(&[count, 8, 8], &pixels(labels)));
        place.write(&format!("pictures/{}", files[1]), idx(&[count], labels));
    }
    place
}

const TRAIN: &str =
    "train tiny.toml --set data.dataset=idx --set data.dir=pictures --set train.steps=100 --run-dir run";

fn events(place: &Place, name: &str) -> Vec<Value> {
    let text = place.read("run/metrics.jsonl");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == name).collect()
}

/// The end of such a file holds a single class, which a network that was not trained on it cannot know.
#[test]
fn a_file_that_is_sorted_by_class_validates_what_the_test_set_finds() {
    let mut labels: Vec<u8> = (0..200).map(|i| i % 10).collect();
    labels.sort_unstable();
    let place = place(&labels);
    place.run(&format!("{TRAIN} --set train.eval_every=25")).ended(0);
    let evaluations = events(&place, "evaluate");
    assert!(evaluations.iter().all(|line| line["set"] == "validation" && line["samples"] == 20));
    assert_eq!(events(&place, "start")[0]["samples"], 180);
    let end = &events(&place, "end")[0];
    let [validation, test] = [&end["chosen"], &end["test"]].map(|part| part["accuracy"].as_f64().unwrap());
    assert!(validation > 0.9 && test > 0.9, "{end}");
}

/// Names the sets, and reproduces the figures of the run.
#[test]
fn eval_measures_the_test_set_or_what_chose() {
    let place = Place::new(PROGRAM);
    let run = place.run("train tiny.toml --run-dir run --set train.eval_every=5").ended(0);
    let best = "run/checkpoints/best.h5";
    let end = &events(&place, "end")[0];
    for (set, of_run, samples) in [("test", &end["test"], 359), ("validation", &end["chosen"], 143)] {
        let measured = place.run(&format!("eval {best} --on {set} --json")).json();
        assert_eq!((&measured["set"], &measured["samples"]), (&json!(set), &json!(samples)));
        assert_eq!(measured["accuracy"], of_run["accuracy"], "{set}");
        let [loss, before] = [&measured["loss"], &of_run["loss"]].map(|loss| loss.as_f64().unwrap());
        assert!((loss - before).abs() < 1e-5 * before, "{loss} {before}");
        let text = place.run(&format!("eval {best} --on {set}")).ended(0).out;
        assert!(
            text.contains(&format!("{set} set")) && text.contains(&format!("digits, {samples} samples")),
            "{text}"
        );
        let row = format!("{set} accuracy ");
        let row = run.out.lines().find(|line| line.trim_start().starts_with(&row)).unwrap();
        let percent = format!("{:.2} % (loss ", 100.0 * measured["accuracy"].as_f64().unwrap());
        assert!(row.contains(&percent), "{row}");
    }
    assert_eq!(place.run(&format!("eval {best} --json")).json()["set"], "test");
    place.run(&format!("eval {best} --on training")).refused(2, &["--on"]);
    place.run("train tiny.toml --run-dir other --set data.validation=0").ended(0);
    place
        .run("eval other/checkpoints/best.h5 --on validation")
        .refused(2, &["there is no validation set (data.validation = 0)"]);
}

/// Its split differed, so its apparent validation set holds samples that it was trained on.
#[test]
fn the_split_of_an_earlier_version_is_not_evaluated() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run --set data.validation=100").ended(0);
    place.run("train tiny.toml --run-dir whole --set data.validation=0").ended(0);
    for run in ["run", "whole"] {
        let path = place.path(&format!("{run}/checkpoints/best.h5"));
        let mut snapshot = ternflock::checkpoint::load(&path).unwrap();
        snapshot.job = snapshot.job.replace("validation_seed = 1\n", "");
        snapshot.data.clear();
        ternflock::checkpoint::save(&path, &snapshot).unwrap();
    }
    let few = "--sharpness --samples 20 --repeats 1 --iterations 1 --points 3 --slices 1";
    for words in ["--on validation", few] {
        place.run(&format!("eval run/checkpoints/best.h5 {words}")).refused(
            4,
            &[
                "best.h5: was begun by an earlier version, whose validation split was the end",
                "evaluate the test set",
            ],
        );
    }
    place.run("eval run/checkpoints/best.h5").ended(0);
    place.run(&format!("eval whole/checkpoints/best.h5 {few}")).ended(0);
    let begun = place.run("train tiny.toml --run-dir next --set model.checkpoint=run/checkpoints/best.h5");
    let said = "split off the end of the training set: they were trained on samples of the validation set";
    let err = begun.ended(0).err;
    assert!(err.contains(said), "{err}");
}

/// A measurement may use data other than those of the run, and notes how they differ.
#[test]
fn other_data_than_those_of_the_run_are_named() {
    let labels: Vec<u8> = (0..200).map(|i| i % 10).collect();
    let (place, other) = (place(&labels), place(&labels[..150]));
    place.run(TRAIN).ended(0);
    let few = "--sharpness --samples 20 --repeats 1 --iterations 1 --points 3 --slices 1";
    let best = "eval run/checkpoints/best.h5";
    let same = place.run(&format!("{best} {few}")).ended(0).err
        + &place.run(&format!("{best} --on validation")).ended(0).err;
    assert!(!same.contains("the data are not those"), "{same}");
    let elsewhere = format!("--data-dir {}", other.path("pictures").display());
    let note = "note: the data are not those of the checkpoint's run: the ";
    let err = place.run(&format!("{best} --on validation {elsewhere}")).ended(0).err;
    let said = format!("{note}validation set has other contents, other labels, samples 20 -> 15");
    assert!(err.contains(&said), "{err}");
    let err = place.run(&format!("{best} {few} {elsewhere}")).ended(0).err;
    let said = format!("{note}training set has other contents, other labels, samples 180 -> 135");
    // Its test set is the same.
    assert!(err.contains(&said) && err.matches(note).count() == 1, "{err}");
}

/// A run warns when it begins with parameters that were trained on samples of its validation set.
#[test]
fn a_run_warns_of_a_beginning_that_was_trained_on_its_validation_set() {
    let place = Place::new(PROGRAM);
    let said = "they were trained on samples of the validation set (data.validation = \"auto\", data.validation_seed = 1)";
    for (run, set, split_off) in [
        ("same", "train.seed=9", None),
        ("whole", "data.validation=0", Some("none of the training samples (data.validation = 0)")),
        (
            "seed",
            "data.validation_seed=7",
            Some("other samples (data.validation = \"auto\", data.validation_seed = 7)"),
        ),
        (
            "fewer",
            "data.validation=50",
            Some("other samples (data.validation = 50, data.validation_seed = 1)"),
        ),
        // The same samples, in other words.
        ("count", "data.validation=143", None),
    ] {
        place.run(&format!("train tiny.toml --run-dir {run} --set train.steps=3 --set {set}")).ended(0);
        let begins = format!("--set train.steps=3 --set model.checkpoint={run}/checkpoints/best.h5");
        let err = place.run(&format!("train tiny.toml --run-dir {run}-tuned {begins}")).ended(0).err;
        match split_off {
            None => assert!(!err.contains("were trained on samples of the validation set"), "{run}: {err}"),
            Some(split_off) => {
                let note = format!(
                    "{run}/checkpoints/best.h5, whose parameters this one begins with, split off {split_off}: {said}"
                );
                assert!(err.contains(&note), "{run}: {err}");
            }
        }
    }
    // The test set chooses, so there is no validation set to have been trained on.
    let begins =
        "--set train.steps=3 --set data.validation=0 --set model.checkpoint=same/checkpoints/best.h5";
    let err = place.run(&format!("train tiny.toml --run-dir tests {begins}")).ended(0).err;
    assert!(!err.contains("were trained on samples of the validation set"), "{err}");
    // Other data, whose validation set was not trained on.
    let labels: Vec<u8> = (0..200).map(|i| i % 10).collect();
    let other = self::place(&labels);
    let begins = format!("--set model.checkpoint={}", place.path("whole/checkpoints/best.h5").display());
    let err = other.run(&format!("{TRAIN} {begins}")).ended(0).err;
    assert!(!err.contains("were trained on samples of the validation set"), "{err}");
}

#[test]
fn a_run_whose_test_set_chooses_says_so() {
    let place = Place::new(PROGRAM);
    let run = place.run("train tiny.toml --run-dir run --set data.validation=0").ended(0);
    assert!(run.err.contains("the network is chosen on the test set (data.validation = 0)"), "{}", run.err);
    assert!(run.err.contains("1,438 samples; the test set chooses the network; steps"), "{}", run.err);
    assert!(!run.out.contains("validation accuracy"), "{}", run.out);
    let row = run.out.lines().find(|line| line.trim_start().starts_with("test accuracy")).unwrap();
    assert!(row.ends_with(", after the last step; this set chose the network"), "{row}");
}

/// Ten samples of ten classes have none to spare; thirty have three.
#[test]
fn few_samples_are_enough() {
    let place_of = |count: u8| place(&(0..count).map(|i| i % 10).collect::<Vec<_>>());
    let place = place_of(10);
    let run = place.run(TRAIN).ended(0);
    assert!(run.err.contains("(too few training samples for a validation split"), "{}", run.err);
    place
        .run("eval run/checkpoints/best.h5 --on validation")
        .refused(2, &["there is no validation set (too few training samples for a validation split"]);
    assert_eq!((&events(&place, "start")[0]["samples"], events(&place, "test").len()), (&json!(10), 0));
    let place = place_of(30);
    place.run(TRAIN).ended(0);
    assert_eq!(events(&place, "evaluate")[0]["samples"], 3);
    assert_eq!(events(&place, "test")[0]["samples"], 20);
    for (validation, samples) in [("0.5", 15), ("7", 7)] {
        let run =
            place.run(&TRAIN.replace(
                "--run-dir run",
                &format!("--run-dir {validation} --set data.validation={validation}"),
            ));
        assert!(run.ended(0).err.contains(&format!("of {samples} samples, loss")));
    }
}
