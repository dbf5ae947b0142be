//! An accepted network reads back from its own JSON as an equal network, and its sizes can be computed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ternflock_nn::Graph;

fuzz_target!(|text: &str| {
    if let Ok(graph) = Graph::from_json(text) {
        let again = Graph::from_json(&graph.to_json()).expect("the JSON of a network is a network");
        assert!(again == graph);
    }
});
