//! What a layer or a network takes is counted before it is built, and the count is what it takes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::counting::most_held;
use ternflock::models::preset;
use ternflock::nn::{
    Beside, Example, Execution, Graph, LayerSpec, Network, Shape, check_memory, needed_bytes,
};
use ternflock::tensor::Buffers;

use crate::check;

/// Bytes of a layer that its count leaves out: the objects that hold its buffers.
const OBJECTS: usize = 4096;

/// Bytes per column of a weight that has only some: lists of columns, which the job file contains.
const COLUMN: usize = 256;

const IMAGE: Shape = Shape::Image { channels: 6, height: 29, width: 31 };
const VECTOR: Shape = Shape::Vector { features: 1000 };
const SEQUENCE: Shape = Shape::Sequence { steps: 13, features: 70 };

/// Layers whose buffers are all larger than [`OBJECTS`], and the examples that each type of layer brings, with what they read.
fn layers() -> Vec<(Value, Vec<Shape>)> {
    let one = |layer: Value, input: Shape| (layer, vec![input]);
    let columns: Vec<usize> = (0..54).step_by(3).collect();
    let mut layers = vec![
        one(json!({"type": "conv2d", "filters": 40, "kernel": 5, "padding": 2}), IMAGE),
        one(json!({"type": "conv2d", "filters": 48, "kernel": 3, "stride": 2, "groups": 2}), IMAGE),
        one(json!({"type": "conv2d", "filters": 1000, "kernel": 7, "groups": 2, "stride": [3, 2]}), IMAGE),
        one(json!({"type": "conv2d", "filters": 50, "kernel": 3, "columns": columns}), IMAGE),
        one(
            json!({"type": "conv2d", "filters": 1, "kernel": [20, 31], "padding": 1}),
            Shape::Image { channels: 2, height: 50, width: 40 },
        ),
        one(json!({"type": "linear", "units": 30}), VECTOR),
        one(json!({"type": "linear", "units": 30, "columns": columns}), SEQUENCE),
        one(json!({"type": "embedding", "features": 50}), Shape::Tokens { steps: 9, vocabulary: 100 }),
        one(json!({"type": "batch_norm"}), VECTOR),
        one(json!({"type": "batch_norm", "ghost_batch": 4}), VECTOR),
        one(json!({"type": "batch_norm"}), Shape::Image { channels: 2000, height: 2, width: 3 }),
        one(json!({"type": "batch_norm"}), SEQUENCE),
        one(json!({"type": "conv1d", "filters": 40, "kernel": 5, "padding": "same"}), SEQUENCE),
        one(json!({"type": "conv1d", "filters": 40, "kernel": 1}), SEQUENCE),
        one(json!({"type": "conv1d", "filters": 40, "kernel": 3, "dilation": 4, "groups": 2}), SEQUENCE),
        one(json!({"type": "conv1d", "filters": 70, "kernel": 3, "groups": 70}), SEQUENCE),
        one(json!({"type": "conv1d", "filters": 50, "kernel": 3, "columns": columns}), SEQUENCE),
        one(json!({"type": "max_pool1d", "kernel": 2}), SEQUENCE),
        one(json!({"type": "avg_pool1d", "kernel": 2}), SEQUENCE),
        one(json!({"type": "global_avg_pool1d"}), SEQUENCE),
        one(json!({"type": "last_step"}), SEQUENCE),
        one(json!({"type": "flatten"}), SEQUENCE),
        one(json!({"type": "shortcut", "channels": 8, "stride": 2}), IMAGE),
        one(json!({"type": "max_pool2d", "kernel": 2}), IMAGE),
        one(json!({"type": "avg_pool2d", "kernel": 2}), IMAGE),
        one(json!({"type": "global_avg_pool2d"}), Shape::Image { channels: 5000, height: 2, width: 3 }),
        one(json!({"type": "local_response_norm", "size": 3}), IMAGE),
        one(json!({"type": "relu"}), VECTOR),
        one(json!({"type": "dropout", "rate": 0.5}), IMAGE),
        one(json!({"type": "flatten"}), IMAGE),
        (json!({"type": "add"}), vec![IMAGE, IMAGE]),
        (json!({"type": "concat"}), vec![IMAGE, IMAGE]),
        (json!({"type": "concat"}), vec![SEQUENCE, SEQUENCE]),
    ];
    for kind in ["lstm", "rnn", "gru", "rhn"] {
        for rank in [None, Some(19)] {
            let mut layer = json!({"type": kind, "hidden": 83, "recurrent_rank": rank});
            if kind == "rhn" {
                layer["depth"] = json!(5);
            }
            layers.push(one(layer.clone(), SEQUENCE));
            layer["reverse"] = json!(true);
            layers.push(one(layer, SEQUENCE));
        }
    }
    let example = |example: &Example| (serde_json::from_str(example.table).unwrap(), example.inputs.to_vec());
    layers.extend(LayerSpec::examples().iter().map(example));
    layers
}

/// For each type of layer and several batches: counting takes no memory, and building takes what was counted.
#[test]
fn a_layer_takes_what_was_counted() {
    let mut kinds = BTreeSet::new();
    for (layer, inputs) in layers() {
        let spec: LayerSpec = serde_json::from_value(layer.clone()).unwrap();
        kinds.insert(spec.kind());
        let columns = layer["columns"].as_array().map_or(0, Vec::len);
        let uncounted = OBJECTS + columns * COLUMN;
        for batch in [1, 3, 16, 40] {
            let build = |buffers: &mut Buffers| {
                let (built, heap) =
                    most_held(|| spec.describe().build(&inputs, Execution::float32(batch), buffers));
                assert!(built.is_ok());
                heap
            };
            let (mut counted, mut allocated) = (Buffers::counting(), Buffers::allocating());
            let heap = build(&mut counted);
            assert!(heap <= uncounted, "{layer}, batch {batch}: counting takes {heap} bytes");
            let (heap, bytes) = (build(&mut allocated), counted.bytes() as usize);
            assert_eq!(allocated.bytes(), counted.bytes(), "{layer}, batch {batch}");
            assert!(
                (bytes..=bytes + uncounted).contains(&heap),
                "{layer}, batch {batch}: {bytes} bytes are counted, {heap} are taken"
            );
        }
    }
    assert_eq!(kinds, LayerSpec::KINDS.iter().copied().collect());
}

#[test]
fn a_network_takes_what_was_counted() {
    let colours = Shape::Image { channels: 3, height: 32, width: 32 };
    let tokens = Shape::Tokens { steps: 5, vocabulary: 50 };
    for (name, input, classes) in [
        ("lenet", Shape::Image { channels: 1, height: 28, width: 28 }, 10),
        ("convnet-full", colours, 10),
        ("resnet-20", colours, 10),
        ("lstm-small", tokens, 50),
        ("rhn", tokens, 50),
    ] {
        for batch in [1, 20] {
            let graph = preset(name, input, classes).unwrap();
            let (counted, uncounted) = (
                needed_bytes(&graph, Execution::float32(batch), 0).unwrap() as usize,
                OBJECTS * graph.layers().len(),
            );
            let (network, heap) = most_held(|| Network::new(graph, Execution::float32(batch)));
            assert!(network.is_ok());
            assert!(
                (counted..=counted + uncounted).contains(&heap),
                "{name}, batch {batch}: {counted} bytes are counted, {heap} are taken"
            );
        }
    }
}

/// To count buffers takes neither time nor memory, however large or many they are.
#[test]
fn the_largest_layers_are_counted() {
    let image = |height, width| Shape::Image { channels: 1, height, width };
    for (what, input, layer) in [
        (
            "levels of a highway network",
            Shape::Sequence { steps: 1, features: 1 },
            json!({"type": "rhn", "hidden": 1, "depth": 1_u64 << 38}),
        ),
        (
            "taps of a kernel of few columns",
            image(1 << 20, 1 << 19),
            json!({"type": "conv2d", "filters": 1, "kernel": [1 << 20, 1 << 19], "columns": [0]}),
        ),
        (
            "taps of a kernel",
            image(1 << 20, 1 << 19),
            json!({"type": "conv2d", "filters": 1, "kernel": [1 << 20, 1 << 19]}),
        ),
        ("columns of an image", image(1, 1 << 39), json!({"type": "conv2d", "filters": 1, "kernel": 1})),
        (
            "groups",
            Shape::Image { channels: 1 << 20, height: 1 << 19, width: 1 },
            json!({"type": "conv2d", "filters": 1 << 20, "kernel": 1, "groups": 1 << 20}),
        ),
        ("windows", image(1 << 39, 1), json!({"type": "max_pool2d", "kernel": 1})),
    ] {
        let table = layer.as_object().unwrap().clone();
        let graph = match Graph::from_tables(input, [table]) {
            Ok(graph) => graph,
            Err((error, _)) => panic!("{what}: {error}"),
        };
        check(
            what,
            1,
            |capacity| (capacity, 100),
            |&capacity| {
                assert!(
                    check_memory(&graph, Execution::float32(capacity), Beside::default(), 1).is_err(),
                    "{what}"
                )
            },
        );
    }
}
