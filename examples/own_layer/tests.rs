//! The layer in jobs, in training and in checkpoints.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

use std::fs;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::AtomicBool;

use super::{Softsign, register};
use ternflock::checkpoint::load;
use ternflock::nn::{Graph, Shape};
use ternflock::report::Summary;
use ternflock::train::{Options, restore_network, run};
use ternflock::world::World;

const JOB: &str =
    "[data]\ndataset = 'digits'\n[train]\nsteps = 200\nglobal_batch = 32\n[optimizer]\nlearning_rate = 0.1\n";

fn train(job: &str, directory: &Path) -> Summary {
    let path = directory.join("own.toml");
    fs::write(&path, job).unwrap();
    let loaded = ternflock::train::load(&path, &[]).unwrap();
    let options = Options { run_dir: Some(directory.join("run")), ..Options::default() };
    run(&loaded, &options, &mut World::alone(), &AtomicBool::new(false), &mut |_| ()).unwrap()
}

/// The tests share a process.
fn registered() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| register().unwrap());
}

/// Trained, stored, read back, and with the same outputs.
#[test]
fn a_layer_of_ones_own_is_used_like_the_others() {
    registered();
    let directory = tempfile::tempdir().unwrap();
    let layers = "[[model.layers]]\ntype = 'linear'\nunits = 40\n[[model.layers]]\ntype = 'softsign'\ns = 0.5\n\
                  [[model.layers]]\ntype = 'linear'\nunits = 'classes'\n";
    let flatten = "[[model.layers]]\ntype = 'flatten'\n";
    let summary = train(&format!("{JOB}{flatten}{layers}"), directory.path());
    assert!(summary.score.value > 0.8, "{:?}", summary.score);

    let path = summary.checkpoint;
    let snapshot = load(&path).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&snapshot.network).unwrap();
    let softsign = &stored["layers"][2];
    assert_eq!((&softsign["type"], softsign["s"].as_f64()), (&"softsign".into(), Some(0.5)), "{stored}");
    let graph = Graph::from_json(&snapshot.network).unwrap();
    assert_eq!(graph.to_json(), snapshot.network);
    assert_eq!(graph, graph.clone());
    assert_eq!(graph.output(), Shape::Vector { features: 10 });
    restore_network(&path, &snapshot, ternflock::nn::Execution::float32(1)).unwrap();

    let again = ternflock::nn::register_layer::<Softsign>("softsign").unwrap_err().to_string();
    assert!(again.contains("a layer of type `softsign` already"), "{again}");
    let builtin = ternflock::nn::register_layer::<Softsign>("relu").unwrap_err().to_string();
    assert!(builtin.contains("type `relu` already"), "{builtin}");
}

/// The messages are those of built-in layers.
#[test]
fn wrong_options_of_ones_own_layer_are_explained() {
    registered();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.toml");
    let message = |layer: &str| {
        fs::write(&path, format!("{JOB}[[model.layers]]\n{layer}\n")).unwrap();
        ternflock::train::load(&path, &[]).unwrap_err().to_string()
    };
    for (layer, part) in [
        ("type = 'softsign'\nS = 2.0", "unknown key `S`; did you mean `s`?"),
        ("type = 'softsign'\ns = 'big'", "s must be f32, found string \"big\""),
        ("type = 'softsing'", "unknown type `softsing`; did you mean `softsign`?"),
    ] {
        let message = message(layer);
        assert!(message.contains(part), "{message}");
    }
    let tables = [serde_json::json!({"type": "softsign", "s": -1.0}).as_object().unwrap().clone()];
    let (error, _) = Graph::from_tables(Shape::Vector { features: 3 }, tables).unwrap_err();
    assert!(error.to_string().contains("s = -1 must be above 0"), "{error}");
}
