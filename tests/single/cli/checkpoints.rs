//! `ternflock eval` and `ternflock inspect` on checkpoints, and on files that are not checkpoints (exit code
//! 4).

use std::fs;

use serde_json::{Value, json};
use support::program::{Place, finish};

use crate::PROGRAM;

const CHECKPOINT: &str = "run/checkpoints/step-0000000020.h5";

/// A place where `tiny.toml` has been trained.
fn trained() -> Place {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    place
}

/// Three steps of the job that comes with the program.
#[test]
fn the_digits_network_is_what_its_job_says() {
    let place = Place::new(PROGRAM);
    let job = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/lenet-digits.toml");
    let sets = ["train.steps=3", "train.eval_every=0"].map(|set| ["--set", set]).concat();
    let arguments = [&["train", job, "--run-dir", "run"], &sets[..]].concat();
    finish(&mut place.command(&arguments)).ended(0);
    let shown = place.inspect("run/checkpoints/best.h5");
    let expected = json!({
        "checkpoint": "run/checkpoints/best.h5", "job": "lenet-digits", "network": "lenet-digits", "input": "1x8x8",
        "params": 13706, "flops": 2 * (9 * 16 * 64 + 9 * 16 * 32 * 16 + 128 * 64 + 64 * 10),
        "step": 3, "epoch": 0, "samples_seen": 96, "ranks": 1, "program_version": env!("CARGO_PKG_VERSION"),
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[key], value, "{key}");
    }
    let layers = shown["layers"].as_array().unwrap();
    let rows: Vec<String> = layers
        .iter()
        .map(|l| format!("{} {} {} {}", l["name"], l["type"], l["output"], l["params"]))
        .collect();
    assert_eq!(
        rows,
        [
            r#""conv1" "conv2d" "16x8x8" 160"#,
            r#""relu_2" "relu" "16x8x8" 0"#,
            r#""max_pool2d_3" "max_pool2d" "16x4x4" 0"#,
            r#""conv2" "conv2d" "32x4x4" 4640"#,
            r#""relu_5" "relu" "32x4x4" 0"#,
            r#""max_pool2d_6" "max_pool2d" "32x2x2" 0"#,
            r#""flatten_7" "flatten" "128" 0"#,
            r#""hidden" "linear" "64" 8256"#,
            r#""relu_9" "relu" "64" 0"#,
            r#""logits" "linear" "10" 650"#,
        ]
    );
    assert_eq!(layers[3]["shapes"], json!({"weight": [32, 16, 3, 3], "bias": [32]}));
    let kept =
        json!({"filters": [32, 32], "channels": [16, 16], "shapes": [144, 144], "filters_2d": [512, 512]});
    assert_eq!((&layers[3]["kept"], &layers[1]["kept"]), (&kept, &json!({})));
    let rank = &layers[3]["rank"];
    assert_eq!(
        (&rank["tensor"], &rank["energy"], &rank["full"]),
        (&json!("weight"), &json!(0.95), &json!(32))
    );
    assert!(rank["rank"].as_u64().is_some_and(|rank| (16..=32).contains(&rank)), "{rank}");
    assert_eq!(layers[9]["kept"], json!({"neurons": [10, 10], "inputs": [64, 64]}));
    assert_eq!((&layers[3]["nonzero"], &layers[3]["not_finite"]), (&json!(4640), &Value::Null));
    assert_eq!((&layers[3]["inputs"], &layers[3]["flops"]), (&json!(["max_pool2d_3"]), &json!(147456)));
    let hash = shown["hash"].as_str().unwrap();
    assert!(hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{hash}");
    let [accuracy, loss] = ["accuracy", "loss"].map(|name| &shown["metrics"][format!("validation_{name}")]);
    assert_eq!(shown["best"], json!({"step": 3, "metric": "accuracy", "value": accuracy, "loss": loss}));
}

#[test]
fn inspect_shows_the_same_to_people() {
    let place = trained();
    let shown = place.run(&format!("inspect {CHECKPOINT}")).ended(0);
    let hash = place.inspect(CHECKPOINT)["hash"].as_str().unwrap().to_owned();
    for part in
        [CHECKPOINT, "step 20, epoch 0, 640 samples, 1 rank", "conv1", "4x1x3x3", "10x36", "410", &hash]
    {
        assert!(shown.out.contains(part), "no `{part}` in\n{}", shown.out);
    }
    assert_eq!(shown.err, "");
}

/// The ranks at other shares of the energy, none at all, and a share that is none.
#[test]
fn inspect_computes_ranks_as_asked() {
    let place = trained();
    let rank = |options: &str| {
        let shown = place.run(&format!("inspect {CHECKPOINT} --json {options}")).json();
        shown["layers"][0]["rank"].clone()
    };
    // Four filters of 3x3 with one channel.
    assert_eq!(rank("--energy 1"), json!({"tensor": "weight", "energy": 1.0, "rank": 4, "full": 4}));
    assert_eq!(rank("--energy 0.01")["rank"], 1);
    assert_eq!(rank("--no-ranks"), Value::Null);
    let text = place.run(&format!("inspect {CHECKPOINT} --energy 1")).ended(0).out;
    for part in ["left of", "filters", "shapes", "rank at 100 %", "4/4", "9/9", "10/10", "36/36"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert!(!text.contains("hidden units") && !text.contains("not zero"), "{text}");
    let without = place.run(&format!("inspect {CHECKPOINT} --no-ranks")).ended(0).out;
    assert!(without.contains("left of") && !without.contains("rank at"), "{without}");
    for energy in ["0", "1.5", "nan"] {
        place.run(&format!("inspect {CHECKPOINT} --energy {energy}")).refused(2, &["energy = ", "at most 1"]);
    }
    place.run(&format!("inspect {CHECKPOINT} --energy 0.5 --no-ranks")).refused(2, &["--no-ranks"]);
}

/// The accuracy that the run itself reported on the test set, measured again from the file alone.
#[test]
fn eval_measures_what_the_run_measured() {
    let place = trained();
    let measured = place.run(&format!("eval {CHECKPOINT} --json")).json();
    let end: Value = serde_json::from_str(place.read("run/metrics.jsonl").lines().last().unwrap()).unwrap();
    assert_eq!(measured["accuracy"], end["test"]["accuracy"]);
    // Batches of another size are summed in another order.
    let [loss, before] = [&measured["loss"], &end["test"]["loss"]].map(|loss| loss.as_f64().unwrap());
    assert!((loss - before).abs() < 1e-5 * before, "{loss} {before}");
    let fixed =
        json!({"checkpoint": CHECKPOINT, "step": 20, "dataset": "digits", "set": "test", "samples": 359});
    for (key, value) in fixed.as_object().unwrap() {
        assert_eq!(&measured[key], value, "{key}");
    }
    let [correct, accuracy] = ["correct", "accuracy"].map(|key| measured[key].as_f64().unwrap());
    assert_eq!(accuracy, correct / 359.0);
    assert!(
        ["seconds", "samples_per_s"].iter().all(|key| measured[key].as_f64().is_some_and(|x| x > 0.0)),
        "{measured}"
    );

    let text = place.run(&format!("eval {CHECKPOINT}")).ended(0).out;
    for part in ["digits, 359 samples", &format!("{:.2} %", 100.0 * accuracy), "step 20"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

/// A damaged, foreign or missing file is refused by name wherever a checkpoint is read.
#[test]
fn what_is_no_whole_checkpoint_is_refused_by_name() {
    let place = trained();
    let whole = fs::read(place.path(CHECKPOINT)).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    place.write("flipped.h5", &flipped);
    place.write("cut.h5", &whole[..whole.len() - 1]);
    place.write("empty.h5", "");
    place.write("bare.h5", &whole[512..]);
    for (file, reason) in [
        ("flipped.h5", "its checksum does not match"),
        ("cut.h5", "is truncated: expected"),
        ("empty.h5", "is empty"),
        ("bare.h5", "is an HDF5 file, but not a ternflock checkpoint"),
        ("tiny.toml", "is not a ternflock checkpoint"),
        ("run", "cannot be read: Is a directory"),
        ("nowhere.h5", "cannot be read: No such file"),
    ] {
        for subcommand in ["eval", "eval --json", "inspect", "inspect --json"] {
            place.run(&format!("{subcommand} {file}")).refused(4, &[&format!("ternflock: {file}: {reason}")]);
        }
    }
}

/// The newest checkpoint is damaged: a resumed run reports it, resumes from the previous one, and ends with
/// the same result. If none is intact, nothing is started or changed.
#[test]
fn a_damaged_newest_checkpoint_is_passed_over() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run --set checkpoint.every=10 --set checkpoint.best=false").ended(0);
    let hash: Value = place.inspect(CHECKPOINT)["hash"].clone();
    let damage = |path: &str| {
        let mut bytes = fs::read(place.path(path)).unwrap();
        *bytes.last_mut().unwrap() ^= 0x80;
        place.write(path, &bytes);
        bytes
    };
    damage(CHECKPOINT);
    let resume =
        "train tiny.toml --run-dir run --set checkpoint.every=10 --set checkpoint.best=false --resume";
    let said = place.run(resume).ended(0).err;
    let words = [CHECKPOINT, "its checksum does not match", "using the checkpoint of step 10 instead"];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert_eq!(place.inspect(CHECKPOINT)["hash"], hash);

    let bytes = ["run/checkpoints/step-0000000010.h5", CHECKPOINT].map(damage);
    place.run(resume).refused(4, &[CHECKPOINT, "no earlier checkpoint here is intact"]);
    assert_eq!(fs::read(place.path(CHECKPOINT)).unwrap(), bytes[1]);
}
