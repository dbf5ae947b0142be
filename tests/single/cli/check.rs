//! `ternflock check`: what a run would do, and what is wrong with a job.

use std::fs;

use support::program::Place;

use crate::PROGRAM;

/// The numbers are those of the run itself.
#[test]
fn a_job_is_described_as_its_run_describes_it() {
    let place = Place::new(PROGRAM);
    let checked = place.run("check tiny.toml --json").json();
    place.run("train tiny.toml --run-dir run").ended(0);
    let events = fs::read_to_string(place.path("run/metrics.jsonl")).unwrap();
    let start: serde_json::Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    for key in ["job", "ranks", "threads", "parameters", "steps"] {
        assert_eq!(checked[key], start[key], "{key}");
    }
    let samples = &checked["data"]["training"]["samples"];
    assert_eq!(samples.as_str().unwrap(), start["samples"].as_u64().unwrap().to_string());
    assert!(checked["step_s"].as_f64().unwrap() > 0.0);
    assert!(checked["rank_bytes"].as_f64().unwrap() >= 8.0 * checked["parameters"].as_f64().unwrap());
}

#[test]
fn many_ranks_are_planned_by_one() {
    let place = Place::new(PROGRAM);
    let text = place.run("check tiny.toml --ranks 4 --ranks-per-node 3").ended(0).out;
    for part in ["4 ranks on 2 nodes", "images of 1x8x8; to predict: 10 classes", "rank 0 sends "] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!place.path("runs").exists(), "nothing is written");
}

#[test]
fn what_a_run_would_refuse_is_refused() {
    let place = Place::new(PROGRAM);
    let lost = place.run("check tiny.toml --ranks 1000").ended(2).err;
    assert!(
        lost.starts_with("ternflock: tiny.toml:6: ") && lost.contains("1000 ranks without a sample"),
        "{lost}"
    );
    let layer = place.run("check tiny.toml --set exchange.keep_float=['logit']").ended(2).err;
    assert!(layer.contains("no layer is called `logit`; did you mean `logits`?"), "{layer}");
    place.run("check missing.toml").ended(2);
    place.run("check tiny.toml --ranks 0").ended(2);
}
