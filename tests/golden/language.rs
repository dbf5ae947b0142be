//! A language model trained for ten steps of SGD with momentum and clipping, with its state carried from
//! batch to batch: two levels of LSTM as in `lstm-small`, with fewer words and units. The output layer has
//! its own weight or shares that of the embedding.

use serde_json::{Map, Value, json};
use ternflock::job::{self, OptimizerKind};
use ternflock::nn::layer::Mode;
use ternflock::nn::{Execution, Graph, Network, Shape, softmax_cross_entropy};
use ternflock::optim::Optimizer;

use crate::{PROJECTION, ROUNDING, WEIGHT, floats, values};

/// *Losses.* Logits are sums of 24 products below 1 and of hidden units that are off by some ten roundings after two
/// levels of seven steps; a loss is off by at most twice the error of a logit: 2 * sqrt(24) * 10 roundings, and those of
/// ten updates are like it. PyTorch's own float32 stays within a tenth of that.
///
/// *Parameters.* Ten updates by 0.5 times gradients below 1 (their norm is clipped): 8 roundings of the scale each, and
/// their projection by numbers below 1, sqrt(n) times that. PyTorch's own float32 stays within a tenth of it.
#[test]
fn ten_steps_of_a_language_model_are_pytorchs() {
    check("separate");
}

/// The shared weight has the sum of the gradients of both uses: of the rows that were read, and of all rows
/// in the output layer.
#[test]
fn ten_steps_of_a_language_model_with_tied_weights_are_pytorchs() {
    check("tied");
}

fn check(kind: &str) {
    let golden: Value = serde_json::from_str(include_str!("language.json")).unwrap();
    let golden = &golden[kind];
    let size = |name: &str| golden[name].as_u64().unwrap() as usize;
    let number = |name: &str| golden[name].as_f64().unwrap();
    let (words, steps, streams) = (size("words"), size("steps"), size("streams"));
    let mut network = begin(golden, words, size("units"), steps, streams);
    let kind = OptimizerKind::Sgd { momentum: 0.9 };
    let (learning_rate, clip_norm) = (number("learning_rate"), Some(number("clip_norm")));
    let job = job::Optimizer { kind, learning_rate, weight_decay: 0.0, decay_layers: None, clip_norm };
    let mut optimizer = Optimizer::new(&job, network.parameters.values.len());

    for (step, expected) in floats(&golden["losses"]).into_iter().enumerate() {
        let stream: Vec<usize> = values(100 + step as u32, (steps + 1) * streams)
            .into_iter()
            .map(|value| ((value + 1.0) / 2.0 * words as f32) as usize)
            .collect();
        let (input, labels) = (network.input_mut(streams), &stream[streams..]);
        input.iter_mut().zip(&stream).for_each(|(to, &word)| *to = word as f32);
        network.forward(streams, Mode::Train(Default::default()));
        let (logits, gradient) = network.output_and_gradient();
        let weight = 1.0 / labels.len() as f32;
        let loss = softmax_cross_entropy(logits, labels, weight, Some(gradient)).mean_loss();
        network.backward(streams);
        optimizer.step(step as u64, learning_rate, &mut network.parameters);
        let tolerance = 2.0 * 24f64.sqrt() * 10.0 * ROUNDING;
        let error = (loss - expected).abs();
        assert!(error <= tolerance, "step {step}: {loss}, PyTorch says {expected}: {error} > {tolerance}");
    }
    for parameter in &network.parameters.table {
        let found = &network.parameters.values[parameter.range.clone()];
        let products = found.iter().zip(values(PROJECTION, found.len()));
        let projection: f64 = products.map(|(&value, weight)| f64::from(value) * f64::from(weight)).sum();
        let expected = golden["projections"][&parameter.name].as_f64().unwrap();
        let scale = golden["scales"][&parameter.name].as_f64().unwrap();
        let tolerance = 8.0 * scale * (found.len() as f64).sqrt() * ROUNDING;
        let error = (projection - expected).abs();
        assert!(
            error <= tolerance,
            "{}: {projection}, not {expected}: {error} > {tolerance}",
            parameter.name
        );
    }
}

/// The network with the parameters that `make_golden.py` gives it.
fn begin(golden: &Value, words: usize, units: usize, steps: usize, streams: usize) -> Network {
    crate::instructions::use_asked();
    let scales = golden["scales"].as_object().unwrap();
    let mut logits = json!({"name": "logits", "type": "linear", "units": words});
    if !scales.contains_key("logits/weight") {
        logits["tied"] = "embedding".into();
    }
    let layers: Vec<Map<String, Value>> = serde_json::from_value(json!([
        {"name": "embedding", "type": "embedding", "features": units},
        {"name": "lstm1", "type": "lstm", "hidden": units},
        {"name": "lstm2", "type": "lstm", "hidden": units},
        logits,
    ]))
    .unwrap();
    let graph = Graph::from_tables(Shape::Tokens { steps, vocabulary: words }, layers);
    let mut network =
        Network::new(graph.unwrap_or_else(|(error, _)| panic!("{error}")), Execution::float32(streams))
            .unwrap();
    let parameters = &mut network.parameters;
    assert_eq!(parameters.table.len(), scales.len());
    for ((parameter, (name, scale)), seed) in parameters.table.iter().zip(scales).zip((0..).step_by(10)) {
        assert_eq!(&parameter.name, name);
        let scale = scale.as_f64().unwrap() as f32;
        let first = values(WEIGHT + seed, parameter.range.len()).into_iter().map(|value| scale * value);
        parameters.values[parameter.range.clone()].iter_mut().zip(first).for_each(|(to, value)| *to = value);
    }
    network
}
