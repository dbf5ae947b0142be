//! `ternflock bench compression`: what it prints, and what it refuses.

use serde_json::Value;
use support::program::Place;

use crate::PROGRAM;

/// A language model whose embedding has 150 x 12 elements. A step of 4 x 5 words touches at most 20 of its rows.
const JOB: &str = r#"
[data]
dataset = "genesis"
vocabulary = 150
sequence_length = 5
[[model.layers]]
name = "embedding"
type = "embedding"
features = 12
[[model.layers]]
name = "lstm1"
type = "lstm"
hidden = 9
[[model.layers]]
name = "logits"
type = "linear"
units = 150
[train]
steps = 8
global_batch = 4
[optimizer]
learning_rate = 0.5
"#;

fn place() -> Place {
    let place = Place::new(PROGRAM);
    place.write("words.toml", JOB);
    place
}

fn figures<'a>(rules: &'a Value, name: &str) -> &'a Value {
    rules.as_array().unwrap().iter().find(|rule| rule["rule"] == name).unwrap()
}

/// External scripts rely on these keys.
#[test]
fn the_bias_of_an_embedding_is_measured_with_each_rule() {
    let place = place();
    let words = "bench compression words.toml --ranks 2 --at 3,6 --json --set exchange.min_elements=100";
    let report = place.run(words).json();
    assert_eq!(
        (&report["job"], &report["ranks"], &report["steps"]),
        (&"words".into(), &2.into(), &[3, 6][..].into())
    );
    assert_eq!(report["clip_sigma"], 2.5);
    let names: Vec<&str> =
        report["tensors"].as_array().unwrap().iter().map(|tensor| tensor["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["embedding/weight", "lstm1/weight_ih", "lstm1/weight_hh"]);
    let rules = |tensor: usize| &report["tensors"][tensor]["rules"];
    let number = |rules: &Value, rule: &str, key: &str| figures(rules, rule)[key].as_f64().unwrap();
    assert_eq!(
        (&report["tensors"][0]["rule"], &report["tensors"][1]["rule"]),
        (&"touched_rows".into(), &"elements".into())
    );

    let embedding = rules(0);
    assert!(number(embedding, "elements", "zeros") > 0.8, "{embedding:#}");
    assert!(
        number(embedding, "elements", "norm_ratio") < number(embedding, "touched_rows", "norm_ratio") - 0.1
    );
    assert!(number(embedding, "touched_rows", "clipped") < number(embedding, "elements", "clipped"));
    let unclipped = figures(embedding, "unclipped");
    assert!(
        unclipped["angle_degrees"].as_f64().unwrap() < 1e-3 && unclipped["clipped"] == 0.0,
        "{unclipped}"
    );
    // In a dense tensor, all rules over elements are the same.
    for key in ["angle_degrees", "norm_ratio", "clipped", "zeros", "variance", "rounded_norm_ratio"] {
        assert_eq!(figures(rules(1), "elements")[key], figures(rules(1), "touched_rows")[key], "{key}");
    }
    // A large row has a scale of its own, so nothing is clipped.
    assert_eq!(number(embedding, "row_scales", "clipped"), 0.0);
    // The logits travel as float32: they dilute the error of the others.
    let [compressed, all] = ["compressed", "all"].map(|of| number(&report[of], "job", "variance"));
    assert!(0.0 < all && all < compressed, "{all} {compressed}");

    let published = place.run(&format!("{words} --set exchange.clip_sigma_over=elements")).json();
    assert_eq!(published["tensors"][0]["rule"], "elements");
    assert_eq!(published["tensors"][0]["rules"], report["tensors"][0]["rules"]);
    assert_eq!(
        figures(&published["compressed"], "job")["norm_ratio"],
        figures(&published["compressed"], "elements")["norm_ratio"]
    );
    let scaled = place.run(&format!("{words} --set exchange.row_scales=[\"embeddings\"]")).json();
    assert_eq!(scaled["tensors"][0]["rule"], "row_scales");
    assert_eq!(scaled["tensors"][0]["rules"], report["tensors"][0]["rules"]);
    let table = place.run("bench compression words.toml --at 2 --set exchange.min_elements=100").ended(0).out;
    for part in ["4 ranks, step 2", "embedding/weight", "1,800", "touched_rows*", "norm of q", "all tensors"]
    {
        assert!(table.contains(part), "no `{part}` in\n{table}");
    }
}

#[test]
fn jobs_without_stochastic_rounding_are_refused() {
    let place = place();
    let refused = |more: &str, parts: &[&str]| {
        place.run(&format!("bench compression words.toml {more}")).refused(2, parts);
    };
    refused("--at 9", &["--at", "has only 8 steps", "step 9"]);
    refused("--at 0", &["--at"]);
    refused("--ranks 0", &["--ranks"]);
    refused("--at 1 --ranks 5", &["words.toml", "global batch of 4", "5 ranks"]);
    refused("--at 1 --set exchange.gradients=float32", &["compresses no tensor", "exchange.gradients"]);
    refused("--at 1 --set exchange.min_elements=100000", &["compresses no tensor", "exchange.min_elements"]);
    refused(
        "--at 1 --set exchange.error_feedback=true",
        &["error feedback", "--set exchange.error_feedback=false"],
    );
    place.run("bench compression nowhere.toml").refused(2, &["nowhere.toml"]);
}
