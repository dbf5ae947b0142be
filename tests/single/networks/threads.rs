//! Compares one step (forward, loss, backward and update) on two and three threads with one. Batches are
//! large enough that each layer's loops and products are worth sharing (`WORTH_SHARING` in `src/tensor`).

use serde_json::{Map, Value, json};
use ternflock::job::{self, OptimizerKind};
use ternflock::models::preset;
use ternflock::nn::{Graph, Shape};
use ternflock::optim::Optimizer;
use ternflock::rng::{Purpose, Stream};
use ternflock::tensor::set_threads;

use crate::{alone, begin, pass};

/// u = 2^-24: the maximum relative error of rounding.
const ROUNDING: f64 = 1.0 / (1 << 24) as f64;

/// The result of a step: the loss, and the name, gradient and new value of each tensor.
type Outcome = (f64, Vec<(String, Vec<f32>, Vec<f32>)>);

fn step(graph: &Graph, batch: usize, threads: usize) -> Outcome {
    set_threads(threads).unwrap();
    let mut network = begin(graph.clone(), batch);
    let kind = OptimizerKind::Sgd { momentum: 0.9 };
    let (weight_decay, clip_norm) = (5e-4, Some(0.5));
    let job = job::Optimizer { kind, learning_rate: 0.1, weight_decay, decay_layers: None, clip_norm };
    let mut optimizer = Optimizer::new(&job, network.parameters.values.len());
    let word = |tensor: u16, at: usize| {
        Stream { seed: 1, purpose: Purpose::Test, step: 0, subject: 0, tensor }.word(at as u64)
    };
    let mut input = network.input_mut(batch).to_vec();
    for (at, value) in input.iter_mut().enumerate() {
        *value = match graph.input() {
            Shape::Tokens { vocabulary, .. } => (word(0, at) as usize % vocabulary) as f32,
            _ => word(0, at) as f32 / 2f32.powi(32) - 0.5,
        };
    }
    let (rows, classes) = match graph.output() {
        Shape::Sequence { steps, features } => (steps * batch, features),
        shape => (batch, shape.elements()),
    };
    let labels: Vec<usize> = (0..rows).map(|at| word(1, at) as usize % classes).collect();
    let loss = pass(&mut network, batch, &input, &labels);
    let gradients = network.parameters.gradients.clone();
    optimizer.step(0, 0.1, &mut network.parameters);
    let tensors = network.parameters.table.iter().map(|parameter| {
        let range = parameter.range.clone();
        (parameter.name.clone(), gradients[range.clone()].to_vec(), network.parameters.values[range].to_vec())
    });
    let outcome = (loss, tensors.collect());
    set_threads(1).unwrap();
    outcome
}

/// Convolutions, normalisation, pooling and all other operations that write each result separately give the
/// same bits.
#[track_caller]
fn assert_same_bits(graph: &Graph, batch: usize) {
    let _alone = alone();
    let (loss, tensors) = step(graph, batch, 1);
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    for threads in [2, 3] {
        let (other_loss, others) = step(graph, batch, threads);
        assert_eq!(loss.to_bits(), other_loss.to_bits(), "loss on {threads} threads");
        for ((name, gradient, value), (_, other_gradient, other_value)) in tensors.iter().zip(&others) {
            assert_eq!(bits(gradient), bits(other_gradient), "gradient of {name} on {threads} threads");
            assert_eq!(bits(value), bits(other_value), "{name} on {threads} threads");
        }
    }
}

/// Large products go to BLAS in one part per thread, and it sums differently at the edges of its operands.
/// Roundings have either sign, so two ways to take a sum of n terms differ by about sqrt(n) of them, of the
/// largest element's size; `sums` such sums follow each other on the path to a gradient.
#[track_caller]
fn assert_close(graph: &Graph, batch: usize, widest: usize, sums: usize) {
    let _alone = alone();
    let tolerance = sums as f64 * (widest as f64).sqrt() * ROUNDING;
    let (loss, tensors) = step(graph, batch, 1);
    let close = |a: &[f32], b: &[f32], what: String| {
        let largest = a.iter().fold(0f64, |largest, value| largest.max(f64::from(value.abs())));
        let apart = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        assert!(largest > 0.0 && apart <= tolerance * largest, "{what}: {apart:e} of {largest:e}");
    };
    for threads in [2, 3] {
        let (other_loss, others) = step(graph, batch, threads);
        assert!(
            (loss - other_loss).abs() <= tolerance * loss,
            "{loss} and {other_loss} on {threads} threads"
        );
        for ((name, gradient, value), (_, other_gradient, other_value)) in tensors.iter().zip(&others) {
            close(gradient, other_gradient, format!("gradient of {name} on {threads} threads"));
            close(value, other_value, format!("{name} on {threads} threads"));
        }
    }
}

fn graph(input: Shape, tables: Value) -> Graph {
    let tables: Vec<Map<String, Value>> = serde_json::from_value(tables).unwrap();
    Graph::from_tables(input, tables).unwrap_or_else(|(error, _)| panic!("{error}"))
}

#[test]
fn a_step_of_resnet_20_has_the_same_bits_on_any_number_of_threads() {
    let input = Shape::Image { channels: 3, height: 32, width: 32 };
    assert_same_bits(&preset("resnet-20", input, 10).unwrap(), 16);
}

/// The layers for images that ResNet-20 does not use.
#[test]
fn a_step_of_other_layers_for_images_has_the_same_bits_on_any_number_of_threads() {
    let input = Shape::Image { channels: 3, height: 20, width: 20 };
    let layers = json!([
        {"name": "conv1", "type": "conv2d", "filters": 12, "kernel": 3, "padding": 1, "groups": 3},
        {"name": "norm", "type": "batch_norm", "ghost_batch": 8},
        {"type": "relu"},
        {"name": "across", "type": "local_response_norm", "size": 5, "alpha": 0.1},
        {"name": "within", "type": "local_response_norm", "size": 3, "alpha": 0.1, "region": "within_channel"},
        {"name": "dropped", "type": "dropout", "rate": 0.3},
        {"name": "largest", "type": "max_pool2d", "kernel": 3, "stride": 1, "padding": 1},
        {"name": "mean", "type": "avg_pool2d", "kernel": 3, "stride": 2, "padding": 1, "inputs": ["dropped"]},
        {"name": "conv2", "type": "conv2d", "filters": 12, "kernel": 2, "stride": 2, "inputs": ["largest"]},
        {"name": "sum", "type": "add", "inputs": ["mean", "conv2"]},
        {"type": "flatten"},
        {"name": "logits", "type": "linear", "units": 10},
    ]);
    assert_same_bits(&graph(input, layers), 16);
}

/// The widest sums are those over the 60 steps of 24 samples, for the gradient of a weight. A number has come through six
/// layers, the recurrent ones with 15 steps each, and back.
#[test]
fn a_step_of_layers_for_signals_is_the_same_on_any_number_of_threads() {
    let layers = json!([
        {"name": "conv1", "type": "conv1d", "filters": 32, "kernel": 5, "padding": "same"},
        {"name": "norm", "type": "batch_norm", "relu": true},
        {"name": "each", "type": "conv1d", "filters": 32, "kernel": 3, "padding": "causal", "groups": 32},
        {"type": "max_pool1d", "kernel": 2},
        {"name": "groups", "type": "conv1d", "filters": 32, "kernel": 3, "dilation": 2, "padding": "same", "groups": 2},
        {"type": "avg_pool1d", "kernel": 2},
        {"name": "both", "type": "lstm", "hidden": 24, "bidirectional": true},
        {"name": "mean", "type": "global_avg_pool1d"},
        {"name": "flat", "type": "flatten", "inputs": ["both"]},
        {"name": "vectors", "type": "concat", "inputs": ["mean", "flat"]},
        {"name": "logits", "type": "linear", "units": 10},
    ]);
    let input = Shape::Sequence { steps: 60, features: 6 };
    assert_close(&graph(input, layers), 24, 60 * 24, 2 * (6 + 15));
}

/// The widest sum is that over 800 features. Four follow each other: of the two linear layers forward, and backward again.
#[test]
fn a_step_of_lenet_is_the_same_on_any_number_of_threads() {
    let input = Shape::Image { channels: 1, height: 28, width: 28 };
    assert_close(&preset("lenet", input, 10).unwrap(), 40, 800, 4);
}

/// The widest sums are those over a level's 800 gates. A state has come through 6 steps of two levels, and its gradient goes back
/// through as many; the embedding and the logits stand at the ends.
#[test]
fn a_step_of_lstm_small_is_the_same_on_any_number_of_threads() {
    let input = Shape::Tokens { steps: 6, vocabulary: 400 };
    assert_close(&preset("lstm-small", input, 400).unwrap(), 24, 800, 2 * (6 + 2) + 2);
}

/// The widest sums are those over the 420 rows of a weight's gradient. A state has come through 3 steps of 1, 1 and 2 levels,
/// and back.
#[test]
fn a_step_of_other_layers_for_sequences_is_the_same_on_any_number_of_threads() {
    let input = Shape::Tokens { steps: 3, vocabulary: 300 };
    let layers = json!([
        {"name": "embedding", "type": "embedding", "features": 128, "init": {"uniform": 0.3}},
        {"name": "gru", "type": "gru", "hidden": 128},
        {"name": "dropped", "type": "dropout", "rate": 0.3},
        {"name": "rnn", "type": "rnn", "hidden": 128},
        {"name": "rhn", "type": "rhn", "hidden": 128, "depth": 2, "transform_bias": -1.0},
        {"name": "logits", "type": "linear", "units": 300, "tied": "embedding"},
    ]);
    assert_close(&graph(input, layers), 140, 420, 2 * (3 + 3) + 2);
}
