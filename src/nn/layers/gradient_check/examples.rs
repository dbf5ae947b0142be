//! Compares the gradients of every example of every type of layer with central differences, so that no layer
//! is left unchecked. The tolerance is coarse, because the check knows nothing about the layer; checks of a
//! specific layer are sharper.
//!
//! The inputs of the layer are the weights of layers in front of it. With a unit vector as each row of the
//! network's input, their output is their weight, so that the gradient of an input appears as that of a
//! parameter. Inputs are distinct odd multiples of at least the step: a step can reach a kink, but never
//! cross it.

use serde_json::{Map, Value, json};

use super::{odd_integers, small_integers};
use crate::layer::{Draw, Mode};
use crate::parameters::of_layer;
use crate::{Example, Execution, Graph, LayerSpec, Network, Shape};

/// N.
const BATCH: usize = 3;

const STEP: f32 = 1.0 / 64.0;

/// The input of a network whose first layer can produce any values of `shape`, and that layer; tokens are
/// read directly.
fn source(shape: Shape) -> (Shape, Option<Value>) {
    match shape {
        Shape::Image { channels, height, width } => {
            let table = json!({"type": "conv2d", "filters": channels, "kernel": [height, width],
                               "padding": [height - 1, width - 1], "bias": false});
            (Shape::Image { channels: BATCH, height: 1, width: 1 }, Some(table))
        }
        Shape::Vector { features } => {
            let table = json!({"type": "linear", "units": features, "bias": false});
            (Shape::Vector { features: BATCH }, Some(table))
        }
        Shape::Sequence { steps, features } => {
            let table = json!({"type": "linear", "units": features, "bias": false});
            (Shape::Sequence { steps, features: steps * BATCH }, Some(table))
        }
        Shape::Tokens { .. } => (shape, None),
    }
}

/// The network that ends in the layer of `example`.
fn graph(example: &Example) -> Graph {
    let (mut tables, mut names, mut input) = (Vec::new(), Vec::new(), None);
    for (index, &shape) in example.inputs.iter().enumerate() {
        let (before, table) = source(shape);
        assert_eq!(
            *input.get_or_insert(before),
            before,
            "{}: its inputs come from different networks",
            example.table
        );
        names.push("input".to_owned());
        if let Some(mut table) = table {
            names[index] = format!("x{index}");
            (table["name"], table["inputs"]) = (json!(names[index]), json!(["input"]));
            tables.push(table);
        }
    }
    let mut layer: Value = serde_json::from_str(example.table).unwrap();
    (layer["name"], layer["inputs"]) = (json!("layer"), json!(names));
    tables.push(layer);
    let tables: Vec<Map<String, Value>> = serde_json::from_value(json!(tables)).unwrap();
    Graph::from_tables(input.unwrap(), tables).unwrap_or_else(|(error, _)| panic!("{error}"))
}

/// The network after a forward pass, and the loss. It is built anew, because layers may remember the batch before.
fn forward(graph: &Graph, values: &[f32]) -> (Network, f64) {
    let mut network = Network::new(graph.clone(), Execution::float32(BATCH)).unwrap();
    network.parameters.values.copy_from_slice(values);
    let input = network.input_mut(BATCH);
    match graph.input() {
        Shape::Tokens { vocabulary, .. } => {
            input.iter_mut().enumerate().for_each(|(i, token)| *token = (5 * i % vocabulary) as f32);
        }
        _ => {
            let row = input.len().isqrt();
            input.iter_mut().step_by(row + 1).for_each(|x| *x = 1.0);
        }
    }
    let y = network.forward(BATCH, Mode::Train(Draw::default()));
    let loss = y.iter().zip(small_integers(y.len(), 3)).map(|(&y, r)| f64::from(y) * f64::from(r)).sum();
    (network, loss)
}

fn check(example: &Example) {
    let graph = graph(example);
    let table = Network::new(graph.clone(), Execution::float32(BATCH)).unwrap().parameters.table;
    let own =
        of_layer(&table, graph.layers().len() - 1).first().map_or(usize::MAX, |first| first.range.start);
    let count = table.last().map_or(0, |last| last.range.end);
    let mut values = odd_integers(own.min(count));
    // Within 1 of zero if they are few, so that a step is a small part of their spread.
    let spacing = STEP.max(1.0 / values.len().max(1) as f32);
    values.iter_mut().for_each(|x| *x *= spacing);
    values.extend((values.len()..count).map(|i| [3.0, -2.0, 5.0, -1.0, -4.0][i % 5] / 8.0));

    let (mut network, _) = forward(&graph, &values);
    let (y, dy) = network.output_and_gradient();
    dy.copy_from_slice(&small_integers(y.len(), 3));
    network.backward(BATCH);
    let gradients = network.parameters.gradients;
    assert!(gradients.iter().any(|&g| g != 0.0), "{}: all gradients are zero", example.table);
    for (i, &gradient) in gradients.iter().enumerate() {
        let value = values[i];
        let mut moved = |by: f32| {
            values[i] = value + by;
            forward(&graph, &values).1
        };
        let difference = (moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP);
        values[i] = value;
        let error = (f64::from(gradient) - difference).abs();
        let of = table.iter().find(|parameter| parameter.range.contains(&i)).map(|parameter| &parameter.name);
        assert!(
            error <= 0.01 * (1.0 + difference.abs()),
            "{}: {of:?}, {i}: {gradient}, the difference is {difference}",
            example.table
        );
    }
}

#[test]
fn every_layer() {
    for example in LayerSpec::examples() {
        // Its weight belongs to another layer; `network::tests` also check the use by that layer.
        if example.layer().unwrap().describe().tied(example.inputs).unwrap().is_none() {
            check(&example);
        }
    }
}
