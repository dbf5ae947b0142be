//! The table of layers in the reference of job files names every type and every key of it, and the layer that the
//! contributor's page adds is one that compiles and is tested.

use std::fs;

use serde_json::json;
use ternflock::nn::LayerSpec;

use super::root;

/// The keys of a layer of type `kind`: those that serde lists when it refuses another one.
fn keys(kind: &str) -> Vec<String> {
    let table = json!({"type": kind, "no such key": 1});
    let message = serde_json::from_value::<LayerSpec>(table).unwrap_err().to_string();
    let words = message.split('`').skip(1).step_by(2);
    let mut words = words.map(str::to_owned);
    assert_eq!(words.next().as_deref(), Some("no such key"), "{message}");
    words.collect()
}

#[test]
fn the_reference_has_every_layer_and_its_keys() {
    let text = fs::read_to_string(root().join("docs/job-file.md")).unwrap();
    let (_, table) = text.split_once("This table shows the types and their keys").unwrap();
    let rows: Vec<(&str, &str)> =
        table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | ")).collect();
    let mut missing = Vec::new();
    for kind in LayerSpec::KINDS {
        let Some((_, row)) = rows.iter().find(|(types, _)| types.contains(&format!("`\"{kind}\"`"))) else {
            missing.push((*kind).to_owned());
            continue;
        };
        let unnamed = keys(kind).into_iter().filter(|key| !row.contains(&format!("`{key}`")));
        missing.extend(unnamed.map(|key| format!("{kind}: {key}")));
    }
    assert_eq!(missing, [""; 0]);
    assert!(keys("linear").contains(&"units".to_owned()));
}

#[test]
fn the_layer_of_the_contributors_page_is_the_tested_one() {
    let page = fs::read_to_string(root().join("docs/contributing/layer.md")).unwrap();
    let file = fs::read_to_string(root().join("src/nn/layers/scale.rs")).unwrap();
    assert!(page.contains(&format!("```rust\n{file}```")), "docs/contributing/layer.md has another scale.rs");
}
