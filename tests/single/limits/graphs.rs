//! Networks with many layers, long chains, and layers with many inputs.

use serde_json::{Map, Value, json};
use ternflock::compress::groups::groups;
use ternflock::compress::low_rank;
use ternflock::compress::sparsity_report::sparsity_report;
use ternflock::compress::surgery::shrink;
use ternflock::job::{LowRank, Shrink};
use ternflock::nn::StructureKind;
use ternflock::nn::{Execution, Graph, Network, Parameters, Shape};

use crate::check;

const VECTOR: Shape = Shape::Vector { features: 1 };
const IMAGE: Shape = Shape::Image { channels: 1, height: 1, width: 1 };

/// A network of `layers` as stored in a checkpoint.
fn json(input: Shape, layers: Vec<Value>) -> (String, usize) {
    let text = json!({"input": input, "layers": layers}).to_string();
    let bytes = text.len();
    (text, bytes)
}

fn graph(text: &str) -> Graph {
    Graph::from_json(text).unwrap()
}

/// `count` layers of `kind` in a chain.
fn chain(kind: &Value, count: usize) -> Vec<Value> {
    let layer = |i: usize| {
        let mut layer = kind.as_object().unwrap().clone();
        layer.insert("name".into(), format!("l{i}").into());
        Value::Object(layer)
    };
    (0..count).map(layer).collect()
}

/// `count` parallel layers of `kind`, all read by `meet`.
fn fan(kind: &Value, meet: &str, count: usize) -> Vec<Value> {
    let mut layers = chain(kind, count);
    for layer in &mut layers {
        layer["inputs"] = json!(["input"]);
    }
    let names: Vec<_> = layers.iter().map(|layer| layer["name"].clone()).collect();
    layers.push(json!({"name": "all", "type": meet, "inputs": names}));
    layers
}

#[test]
fn graphs_are_read() {
    let relu = json!({"type": "relu"});
    for (what, input, kind) in [
        ("a chain", VECTOR, relu.clone()),
        ("linear layers", VECTOR, json!({"type": "linear", "units": 1})),
        ("convolutions", IMAGE, json!({"type": "conv2d", "filters": 1, "kernel": 1})),
    ] {
        check(what, 10_000, |count| json(input, chain(&kind, count)), |text| drop(graph(text)));
    }
    for meet in ["add", "concat"] {
        check(meet, 10_000, |count| json(IMAGE, fan(&relu, meet, count)), |text| drop(graph(text)));
    }
    let tied = |count| {
        let mut layers = vec![json!({"name": "e", "type": "embedding", "features": 1})];
        layers.extend(chain(&json!({"type": "linear", "units": 1, "tied": "e"}), count));
        json(Shape::Tokens { steps: 1, vocabulary: 1 }, layers)
    };
    check("ties", 2_500, tied, |text| drop(graph(text)));
    let unused = |count| json(VECTOR, fan(&relu, "add", count).into_iter().take(count).collect());
    check("outputs that nobody reads", 10_000, unused, |text| {
        let message = Graph::from_json(text).unwrap_err().to_string();
        assert!(message.contains("no later layer uses its output"), "{message}");
    });
    let long = |size| {
        json(VECTOR, vec![json!({"type": "relu", "name": "x".repeat(size), "inputs": ["x".repeat(size)]})])
    };
    check("long names", 1 << 20, long, |text| {
        let message = Graph::from_json(text).unwrap_err().to_string();
        assert!(
            message.contains("the limit is 255 bytes") && message.len() < 1000,
            "{} bytes",
            message.len()
        );
    });
}

#[test]
fn networks_are_built() {
    for (what, input, layers) in [
        ("a chain", VECTOR, chain as fn(&Value, usize) -> Vec<Value>),
        ("a sum", VECTOR, |kind, count| fan(kind, "add", count)),
        ("side by side", IMAGE, |kind, count| fan(kind, "concat", count)),
    ] {
        let build = |text: &String| drop(Network::new(graph(text), Execution::float32(1)).unwrap());
        check(what, 5000, |count| json(input, layers(&json!({"type": "relu"}), count)), build);
    }
    let linear = json!({"type": "linear", "units": 1});
    check(
        "linear layers",
        8000,
        |count| json(VECTOR, chain(&linear, count)),
        |text| {
            drop(Network::new(graph(text), Execution::float32(1)).unwrap());
        },
    );
}

/// The work that `inspect`, `compress` and the stages of a job do on a network.
#[test]
fn networks_are_searched() {
    let conv = json!({"type": "conv2d", "filters": 1, "kernel": 1});
    let parameters = |graph: &Graph| {
        let mut parameters = Parameters::new(graph).unwrap();
        parameters.values.fill(1.0);
        parameters
    };
    let what = "a chain";
    let make = |count| {
        let (text, bytes) = json(IMAGE, chain(&conv, count));
        let graph = graph(&text);
        ((parameters(&graph), graph), bytes)
    };
    type Searched = (Parameters, Graph);
    let count = 1500;
    check(&format!("the sparsity report of {what}"), count, make, |(parameters, graph): &Searched| {
        drop(sparsity_report(graph, parameters, None).unwrap());
    });
    check(&format!("surgery on {what}"), count, make, |(parameters, graph): &Searched| {
        drop(shrink(graph, parameters, &Shrink::default()).unwrap());
    });
    for kind in
        [StructureKind::Filters, StructureKind::Channels, StructureKind::Shapes, StructureKind::Layers]
    {
        check(&format!("{kind:?} of {what}"), count, make, |(parameters, graph): &Searched| {
            drop(groups(graph, parameters, kind).unwrap());
        });
    }
    check(&format!("low rank of {what}"), count, make, |(_, graph): &Searched| {
        let ranks = graph.layers().iter().filter(|node| node.layer.kind() == "conv2d");
        let ranks = ranks.map(|node| (node.name.clone(), 1)).collect();
        low_rank::check(&LowRank { ranks, ..LowRank::default() }, graph).unwrap();
    });
}

/// Large numbers in a table cost nothing: sizes that would not fit are refused before allocation.
#[test]
fn sizes_of_layers() {
    for (what, input, layer) in [
        ("units", VECTOR, json!({"type": "linear", "units": 1_u64 << 36})),
        ("units beyond any", VECTOR, json!({"type": "linear", "units": u64::MAX})),
        (
            "hidden units",
            Shape::Sequence { steps: 2, features: 1 },
            json!({"type": "lstm", "hidden": 1 << 18}),
        ),
        ("filters", IMAGE, json!({"type": "conv2d", "filters": 1_u64 << 36, "kernel": 1})),
        (
            "rows of an image",
            Shape::Image { channels: 64, height: 1 << 32, width: 1 },
            json!({"type": "conv2d", "filters": 1, "kernel": [3, 1], "stride": [2, 1]}),
        ),
        (
            "few columns of a large kernel",
            Shape::Image { channels: 1, height: 1000, width: 1000 },
            json!({"type": "conv2d", "filters": 1_u64 << 38, "kernel": 1000, "columns": [0, 1000, 999_999]}),
        ),
    ] {
        let table: Map<String, Value> = layer.as_object().unwrap().clone();
        let refused = |capacity: &usize| {
            let graph = Graph::from_tables(input, [table.clone()]).map_err(|(error, _)| error);
            let built = graph.and_then(|graph| Network::new(graph, Execution::float32(*capacity)).map(drop));
            assert!(built.is_err(), "{what}");
        };
        check(what, 1, |capacity| (capacity, 100), refused);
    }
}
