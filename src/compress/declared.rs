//! Penalties, reports and surgery depend only on the declaration of each type of layer: nothing in this crate
//! names a type.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::groups::groups;
use super::low_rank::ranks;
use super::sparsity_report::sparsity_report;
use super::surgery::shrink;
use super::units::{CoupledUnits, Role};
use ternflock_job::Shrink;
use ternflock_nn::coupling::Units;
use ternflock_nn::parameters::of_layer;
use ternflock_nn::{Example, Graph, LayerSpec, Parameters, Shape, StructureKind};

const KINDS: [StructureKind; 8] = [
    StructureKind::Filters,
    StructureKind::Channels,
    StructureKind::Shapes,
    StructureKind::Filters2d,
    StructureKind::Layers,
    StructureKind::Neurons,
    StructureKind::Inputs,
    StructureKind::HiddenUnits,
];

fn network(input: Shape, layers: Value) -> (Graph, Parameters) {
    let tables: Vec<_> = serde_json::from_value(layers).unwrap();
    let graph = Graph::from_tables(input, tables).unwrap_or_else(|(error, _)| panic!("{error}"));
    let mut parameters = Parameters::new(&graph).unwrap();
    // There are no zeros, so all structures are left.
    let values = &mut parameters.values;
    values.iter_mut().enumerate().for_each(|(at, value)| *value = 0.5 + (at % 7) as f32);
    (graph, parameters)
}

/// The layer of `example` between others, so that its units could be removed.
fn around(example: &Example) -> (Graph, Parameters) {
    let (mut tables, mut names) = (Vec::new(), Vec::new());
    for (index, shape) in example.inputs.iter().enumerate() {
        let mut table = match *shape {
            Shape::Image { channels, .. } => json!({"type": "conv2d", "filters": channels, "kernel": 1}),
            Shape::Vector { features } | Shape::Sequence { features, .. } => {
                json!({"type": "linear", "units": features})
            }
            Shape::Tokens { .. } => {
                names.push("input".to_owned());
                continue;
            }
        };
        names.push(format!("before{index}"));
        (table["name"], table["inputs"]) = (json!(names[index]), json!(["input"]));
        tables.push(table);
    }
    let mut layer: Value = serde_json::from_str(example.table).unwrap();
    (layer["name"], layer["inputs"]) = (json!("layer"), json!(names));
    tables.push(layer);
    let output = example.layer().unwrap().describe().output(example.inputs).unwrap();
    if matches!(output, Shape::Image { .. }) {
        tables.push(json!({"name": "flat", "type": "flatten"}));
    }
    tables.push(json!({"name": "logits", "type": "linear", "units": 3}));
    network(example.inputs[0], json!(tables))
}

/// Networks in which every type of layer is between others: the examples, and some that join several types.
fn networks() -> Vec<(Graph, Parameters)> {
    let images = json!([
        {"name": "conv", "type": "conv2d", "filters": 4, "kernel": 3, "padding": 1},
        {"name": "norm", "type": "batch_norm"},
        {"name": "relu", "type": "relu"},
        {"name": "response", "type": "local_response_norm", "size": 3},
        {"name": "branch", "type": "conv2d", "filters": 6, "kernel": 1, "bias": false, "inputs": ["relu"]},
        {"name": "around", "type": "shortcut", "channels": 6, "inputs": ["relu"]},
        {"name": "sum", "type": "add", "inputs": ["branch", "around"]},
        {"name": "both", "type": "concat", "inputs": ["sum", "response"]},
        {"name": "max", "type": "max_pool2d", "kernel": 2},
        {"name": "mean", "type": "avg_pool2d", "kernel": 2},
        {"name": "drop", "type": "dropout", "rate": 0.5},
        {"name": "last", "type": "conv2d", "filters": 3, "kernel": 1},
        {"name": "flat", "type": "flatten"},
        {"name": "hidden", "type": "linear", "units": 5},
        {"name": "logits", "type": "linear", "units": 3},
    ]);
    let pooled = json!([
        {"name": "conv", "type": "conv2d", "filters": 4, "kernel": 3},
        {"name": "pool", "type": "global_avg_pool2d"},
        {"name": "logits", "type": "linear", "units": 3},
    ]);
    let words = json!([
        {"name": "words", "type": "embedding", "features": 4},
        {"name": "lstm", "type": "lstm", "hidden": 5},
        {"name": "rnn", "type": "rnn", "hidden": 3},
        {"name": "gru", "type": "gru", "hidden": 4},
        {"name": "rhn", "type": "rhn", "hidden": 3, "depth": 2},
        {"name": "logits", "type": "linear", "units": 7},
    ]);
    let signals = json!([
        {"name": "conv", "type": "conv1d", "filters": 4, "kernel": 3, "padding": "same"},
        {"name": "norm", "type": "batch_norm"},
        {"name": "max", "type": "max_pool1d", "kernel": 2},
        {"name": "mean", "type": "avg_pool1d", "kernel": 2},
        {"name": "lstm", "type": "lstm", "hidden": 5, "bidirectional": true},
        {"name": "flat", "type": "flatten"},
        {"name": "logits", "type": "linear", "units": 3},
    ]);
    let image = Shape::Image { channels: 2, height: 8, width: 8 };
    let sequence = Shape::Sequence { steps: 8, features: 2 };
    let tokens = Shape::Tokens { steps: 3, vocabulary: 7 };
    let joined =
        [network(image, images), network(image, pooled), network(tokens, words), network(sequence, signals)];
    let examples = LayerSpec::examples();
    // Networks without a tied weight, and without structures that are missing from the start.
    let is_whole = |example: &&Example| {
        let layer = example.layer().unwrap();
        let is_tied = layer.describe().tied(example.inputs).unwrap().is_some();
        !is_tied && layer.parts().matrix.is_none_or(|matrix| matrix.groups == 1 && matrix.columns.is_all())
    };
    examples.iter().filter(is_whole).map(around).chain(joined).collect()
}

#[test]
fn the_networks_have_every_type() {
    let all = networks();
    let layers = all.iter().flat_map(|(graph, _)| graph.layers());
    let kinds: BTreeSet<_> = layers.map(|node| node.layer.kind()).collect();
    assert_eq!(kinds, LayerSpec::KINDS.iter().copied().collect());
}

/// The report counts exactly the structures that a layer declares.
#[test]
fn the_sparsity_report_counts_what_is_declared() {
    for (graph, parameters) in networks() {
        for (node, counted) in graph.layers().iter().zip(sparsity_report(&graph, &parameters, None).unwrap())
        {
            // Only layers in a residual branch could be removed completely.
            let is_found = |kind: &StructureKind| *kind != StructureKind::Layers || node.name == "branch";
            let declared: Vec<_> = node.layer.parts().structures.iter().copied().filter(is_found).collect();
            let mut found: Vec<_> = counted.structures.iter().map(|structures| structures.kind).collect();
            found.sort_by_key(|kind| declared.iter().position(|declared| declared == kind));
            assert_eq!(found, declared, "{}", node.name);
            assert!(counted.structures.iter().all(|all| all.all > 0 && all.kept == all.all), "{counted:?}");
        }
    }
}

/// Group lasso has groups of a kind in exactly the layers that declare it, if their units can be removed.
#[test]
fn penalties_reach_what_is_declared() {
    for (graph, parameters) in networks() {
        let units = CoupledUnits::new(&graph, &parameters.table, &parameters.statistics.table).unwrap();
        for kind in KINDS {
            let found: Vec<_> = groups(&graph, &parameters, kind).unwrap();
            let found: Vec<&str> = found.iter().map(|groups| groups.layer.as_str()).collect();
            let could_go =
                |source: usize| units.of_source[source].iter().any(|&unit| units.pinned[unit].is_none());
            let expected = |&(layer, node): &(usize, &ternflock_nn::Node)| {
                node.layer.parts().has(kind)
                    && match kind {
                        StructureKind::Filters | StructureKind::Neurons | StructureKind::HiddenUnits => {
                            could_go(layer + 1)
                        }
                        StructureKind::Channels => could_go(graph.sources(layer)[0]),
                        StructureKind::Layers => node.name == "branch",
                        StructureKind::Shapes | StructureKind::Filters2d | StructureKind::Inputs => true,
                    }
            };
            let layers = graph.layers().iter().enumerate().filter(expected);
            assert_eq!(found, layers.map(|(_, node)| node.name.as_str()).collect::<Vec<_>>(), "{kind:?}");
        }
    }
}

/// A unit whose elements in a layer's tensors are all zero is removed if that makes its output zero, for any type of layer
/// that has its own units.
#[test]
fn surgery_takes_what_is_declared() {
    let mut cut = BTreeSet::new();
    for (graph, whole) in networks() {
        for (layer, node) in graph.layers().iter().enumerate() {
            let mut parameters = whole.clone();
            let units = CoupledUnits::new(&graph, &whole.table, &whole.statistics.table).unwrap();
            let Some(&unit) = units.of_source[layer + 1].iter().find(|&&unit| units.pinned[unit].is_none())
            else {
                continue;
            };
            if graph.coupling(layer).unwrap().units != Units::Own {
                continue;
            }
            let makes = |axis: &&super::units::UnitAxis| axis.role == Role::Makes;
            for axis in units.parameters.iter().filter(makes) {
                let tensor = &parameters.table[axis.tensor];
                let inner: usize = tensor.spec.shape[axis.axis + 1..].iter().product();
                let runs = parameters.values[tensor.range.clone()].chunks_exact_mut(inner);
                let of_unit = runs.zip(axis.units.iter().cycle()).filter(|(_, of)| **of == unit);
                of_unit.for_each(|(run, _)| run.fill(0.0));
            }
            let options = Shrink { round_to: 1, columns: false };
            let smaller = shrink(&graph, &parameters, &options).unwrap().surgery.graph;
            let at = smaller.find(&node.name).unwrap();
            let (before, after) = (graph.shape(layer + 1).units(), smaller.shape(at + 1).units());
            // Batch norm without a bias of its own may make another number of a zero.
            let is_cut = units.zero_stays_zero[unit];
            assert_eq!(after + usize::from(is_cut), before, "{}: {}", node.name, graph.to_json());
            if is_cut {
                cut.insert(node.layer.kind());
            }
        }
    }
    let examples = LayerSpec::examples();
    let layers = examples.iter().map(|example| (example.layer().unwrap(), example.inputs));
    let own = layers.filter(|(layer, inputs)| layer.describe().coupling(inputs).unwrap().units == Units::Own);
    assert_eq!(cut, own.map(|(layer, _)| layer.kind()).collect());
    assert!(cut.len() >= 7, "{cut:?}");
}

/// Every declared matrix has a rank, and so has every recurrent weight.
#[test]
fn low_rank_finds_every_declared_matrix() {
    for (graph, parameters) in networks() {
        let found: Vec<_> = ranks(&graph, &parameters, 0.9).unwrap();
        let found: Vec<_> = found.iter().map(|row| (row.layer.as_str(), row.tensor)).collect();
        let mut expected = Vec::new();
        for (layer, node) in graph.layers().iter().enumerate() {
            let parts = node.layer.parts();
            let state = parts.state.map(|_| ternflock_nn::layer::RECURRENT);
            let tensors = parts.matrix.map(|matrix| matrix.tensor).into_iter().chain(state);
            for tensor in tensors {
                assert!(of_layer(&parameters.table, layer).iter().any(|own| own.spec.name == tensor));
                expected.push((node.name.as_str(), tensor));
            }
        }
        assert_eq!(found, expected);
    }
}
