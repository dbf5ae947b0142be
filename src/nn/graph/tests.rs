//! Inferred shapes, and the errors for a structure that does not fit.

use serde_json::{Map, Value, json};

use super::*;

const INPUT_SHAPE: Shape = Shape::Image { channels: 1, height: 8, width: 8 };

fn graph(layers: Value) -> Result<Graph> {
    let tables = serde_json::from_value::<Vec<Map<String, Value>>>(layers).unwrap();
    Graph::from_tables(INPUT_SHAPE, tables).map_err(|(error, _)| error)
}

fn small() -> Graph {
    graph(json!([
        {"name": "conv1", "type": "conv2d", "filters": 4, "kernel": 3, "padding": 1},
        {"type": "max_pool2d", "kernel": 2},
        {"type": "flatten"},
        {"name": "ip1", "type": "linear", "units": 10},
    ]))
    .unwrap()
}

#[test]
fn shapes_are_inferred() {
    let graph = small();
    let shapes: Vec<String> = (0..=4).map(|i| graph.shape(i).to_string()).collect();
    assert_eq!(shapes, ["1x8x8", "4x8x8", "4x4x4", "64", "10"]);
    assert_eq!(graph.layers()[1].name, "max_pool2d_2");
    assert_eq!(graph.multiply_adds(0).unwrap(), 4 * 9 * 64);
    assert_eq!(graph.logits_layer().unwrap(), Some("ip1"));
}

/// Shapes of sequences, and the errors with both shapes if they do not fit.
#[test]
fn words_need_an_embedding_and_ties_equal_shapes() {
    let graph = |layers: Value| {
        let tables = serde_json::from_value::<Vec<Map<String, Value>>>(layers).unwrap();
        Graph::from_tables(Shape::Tokens { steps: 5, vocabulary: 9 }, tables).map_err(|(error, _)| error)
    };
    let embedding = json!({"name": "words", "type": "embedding", "features": 4});
    let tied = json!({"type": "linear", "units": 9, "tied": "words"});
    let network = graph(json!([embedding, {"type": "relu"}, tied])).unwrap();
    assert_eq!(network.output(), Shape::Sequence { steps: 5, features: 9 });
    assert_eq!((network.tied(2), network.multiply_adds(2).unwrap()), (Some(0), 5 * 4 * 9));
    assert_eq!(Graph::from_json(&network.to_json()).unwrap(), network);
    let cases = [
        (json!([{"type": "relu"}]), "got tokens, 5 of 9; put an `embedding` layer before it"),
        (json!([tied]), "takes vectors, got tokens, 5 of 9"),
        (json!([embedding, {"type": "global_avg_pool2d"}]), "got sequences of 5x4"),
        (json!([{"type": "add", "inputs": ["input", "input"]}]), "same input twice"),
        (json!([embedding, {"type": "embedding", "features": 2}]), "takes tokens, got sequences of 5x4"),
        (
            json!([{"type": "embedding", "features": 4, "vocabulary": 8}]),
            "its table is [8, 4], for a vocabulary of 8, and the data's vocabulary is 9",
        ),
        (
            json!([embedding, {"type": "linear", "units": 9, "tied": "wrds"}]),
            "`wrds`, which is not an earlier",
        ),
        (
            json!([embedding, {"type": "linear", "units": 8, "tied": "words"}]),
            "needs a weight of shape [8, 4], but that of `words`, to which it is tied, has shape [9, 4]",
        ),
        (
            json!([embedding, {"type": "relu", "name": "r"}, {"type": "linear", "units": 9, "tied": "r"}]),
            "`r`, which has no weight",
        ),
    ];
    for (layers, part) in cases {
        let message = graph(layers.clone()).unwrap_err().to_string();
        assert!(message.contains(part), "{layers}: {message}");
    }
    let large = Shape::Tokens { steps: 5, vocabulary: (1 << 24) + 1 };
    assert!(Graph::new(large, vec![]).unwrap_err().to_string().contains("16777216"));
}

#[test]
fn json_round_trip() {
    let graph = small();
    assert_eq!(Graph::from_json(&graph.to_json()).unwrap(), graph);
}

/// Every message names the layer and the problem.
#[test]
fn what_does_not_fit_is_named() {
    let linear = json!({"name": "ip1", "type": "linear", "units": 10});
    let cases = [
        (json!([]), "network", "at least one layer"),
        (json!([linear]), "ip1", "takes vectors, got images of 1x8x8"),
        (json!([{"type": "conv2d", "filters": 4, "kernel": 9}]), "conv2d_1", "kernel of height 9"),
        (json!([{"type": "conv2d", "filters": 0, "kernel": 3}]), "conv2d_1", "at least 1"),
        (
            json!([{"type": "conv2d", "filter": 4, "kernel": 3}]),
            "conv2d_1",
            "unknown key `filter`; did you mean `filters`?",
        ),
        (json!([{"type": "flatten", "nme": "f"}]), "flatten_1", "unknown key `nme`; did you mean `name`?"),
        (json!([{"type": "conv3d"}]), "conv3d_1", "unknown type `conv3d`; did you mean `conv2d`?"),
        (json!([{"kernel": 3}]), "no type_1", "needs the key `type`"),
        (
            json!([{"type": "flatten"}, {"type": "linear", "units": 4, "init": "he_norml"}]),
            "linear_2",
            "unknown value `he_norml`; did you mean `he_normal`?",
        ),
        (
            json!([{"type": "flatten"}, {"type": "linear", "units": 4, "init": {"normal": -1}}]),
            "linear_2",
            "init normal = -1 must lie between 0",
        ),
        (json!([{"type": "flatten"}, {"type": "relu", "inputs": ["nowhere"]}]), "relu_2", "`nowhere`"),
        (json!([{"type": "flatten"}, {"type": "flatten", "inputs": ["input"]}]), "flatten_1", "no later"),
        (json!([{"type": "flatten", "name": "input"}]), "input", "cannot name a layer"),
        (json!([{"type": "flatten", "name": "a/b"}]), "a/b", "letters, digits"),
        (json!([{"type": "relu", "name": "a"}, {"type": "relu", "name": "a"}]), "a", "another layer"),
    ];
    for (layers, name, part) in cases {
        match graph(layers.clone()) {
            Err(Error::Shape { layer, message, .. }) => {
                assert_eq!(layer, name, "{layers}");
                assert!(message.contains(part), "{layers}: {message}");
            }
            other => panic!("{layers}: {other:?}"),
        }
    }
}
