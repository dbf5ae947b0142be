//! The set that chooses a network, and what is reported about the test set.

use serde_json::{Value, json};

use crate::data::{FILES, idx};
use crate::program::Place;

/// A place with training files in `pictures/` that have these `labels`, and test files with twenty pictures of all
/// classes. Class k is a bright column k, or row k - 8.
fn place(labels: &[u8]) -> Place {
    let place = Place::new();
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
    let place = Place::new();
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
        .refused(2, &["has no validation split (data.validation = 0)"]);
}

#[test]
fn a_run_whose_test_set_chooses_says_so() {
    let place = Place::new();
    let run = place.run("train tiny.toml --run-dir run --set data.validation=0").ended(0);
    assert!(run.err.contains("the test set chooses the network (data.validation = 0)"), "{}", run.err);
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
    assert!(run.err.contains("(no class has a second training sample"), "{}", run.err);
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
