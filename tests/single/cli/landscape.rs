//! `ternflock eval --sharpness`.

use support::program::{Place, finish};

use crate::PROGRAM;

const BEST: &str = "run/checkpoints/best.h5";

fn trained() -> Place {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    place
}

#[test]
fn sharpness_and_slices_are_measured_and_drawn() {
    let place = trained();
    let few = "--samples 100 --repeats 2 --iterations 4 --points 5 --slices 3 --range 0.25";
    let found = place.run(&format!("eval {BEST} --sharpness {few} --svg loss.svg --json")).json();
    let sharp = &found["sharpness"];
    assert_eq!(found["sharpness_samples"], 100);
    assert_eq!((&sharp["epsilon"], &sharp["repeats"], &sharp["seed"]), (&5e-4.into(), &2.into(), &1.into()));
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let (loss, highest) = (number(&sharp["loss"]), sharp["highest"].as_array().unwrap());
    let largest = highest.iter().map(number).fold(0.0, f64::max);
    assert!(highest.len() == 2 && largest > loss, "{sharp}");
    let expected = 100.0 * (largest - loss) / (1.0 + loss);
    assert!((number(&sharp["sharpness"]) - expected).abs() < 1e-9 * expected, "{sharp}");
    let slices = found["slices"].as_array().unwrap();
    assert_eq!(slices.len(), 3);
    for slice in slices {
        assert_eq!(slice["t"], serde_json::json!([-0.25, -0.125, 0.0, 0.125, 0.25]));
        assert_eq!(number(&slice["loss"][2]), loss);
        assert_ne!(slice["loss"][0], slice["loss"][4]);
    }
    let picture = place.read("loss.svg");
    assert!(picture.starts_with("<svg") && picture.matches("<polyline").count() >= 3);
    // A larger box finds a higher maximum, and the same seed gives the same result.
    let again = place.run(&format!("eval {BEST} --sharpness {few} --json")).json();
    assert_eq!(again["sharpness"], found["sharpness"]);
    let larger = place.run(&format!("eval {BEST} --sharpness {few} --epsilon 0.01 --json")).json();
    assert!(number(&larger["sharpness"]["sharpness"]) > 5.0 * expected, "{larger}");
    let shown = place.run(&format!("eval {BEST} --sharpness {few}")).ended(0);
    for part in
        ["sharpness  ", "epsilon 0.0005, training loss", "of 100 samples", "slices  ", "3 of 5 points"]
    {
        assert!(shown.out.contains(part), "{}", shown.out);
    }
    let none = place.run(&format!("eval {BEST} --json")).json();
    assert!(none.get("sharpness").is_none());
}

/// A text, and a network with states.
#[test]
fn language_models_have_a_sharpness_too() {
    let place = Place::new(PROGRAM);
    let job = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/lstm-genesis.toml");
    let arguments = ["train", job, "--run-dir", "run", "--set", "train.steps=3"];
    finish(&mut place.command(&arguments)).ended(0);
    let few = "--samples 2000 --repeats 1 --iterations 2 --points 3 --slices 1";
    let measured = place.run(&format!("eval {BEST} --sharpness {few} --json")).ended(0);
    assert!(!measured.err.contains("the data are not those"), "{}", measured.err);
    let found: serde_json::Value = serde_json::from_str(&measured.out).unwrap();
    assert!(found["sharpness"]["sharpness"].as_f64().unwrap() > 0.0, "{found}");
    // Windows are complete: at least the requested number of tokens, and at most one more window per column.
    let count = found["sharpness_samples"].as_u64().unwrap();
    assert!((2000..4000).contains(&count), "{count}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = trained();
    for (wrong, said) in [
        ("--epsilon 0", "a number above 0 and at most 1"),
        ("--epsilon nan", "a number above 0 and at most 1"),
        ("--points 4", "an odd number from 3"),
        ("--range inf", "a number above 0 and at most 1000"),
        ("--repeats 0", "0 is not in 1..=1000"),
        ("--samples 0", "0 is not in 1.."),
        (
            "--svg absent/loss.svg --samples 10 --repeats 1 --iterations 1",
            "--svg absent/loss.svg: cannot be written",
        ),
        (
            "--svg loss.svg --slices 0 --samples 10 --repeats 1 --iterations 1",
            "--svg loss.svg: there is no finite loss",
        ),
    ] {
        place.run(&format!("eval {BEST} --sharpness {wrong}")).refused(2, &[said]);
    }
    place.run(&format!("eval {BEST} --svg loss.svg")).refused(2, &["--sharpness"]);
}
