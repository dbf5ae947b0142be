//! Recurrent layers and the embedding: outputs, recurrent states, and gradients under sum(projection *
//! output).
//!
//! To observe the gradient of a recurrent layer's input, that input is made a parameter: it is the weight of
//! an embedding of T N words, each of which occurs once.

use serde_json::{Map, Value, json};
use ternflock::nn::layer::Mode;
use ternflock::nn::{Execution, Graph, Network, Shape};

use crate::{INPUT, PROJECTION, ROUNDING, WEIGHT, assert_close, floats, numbers, sizes, values};

/// The seed of the first state.
const STATE: u32 = 50;

fn golden() -> Value {
    serde_json::from_str(include_str!("recurrent.json")).unwrap()
}

fn build(input: Shape, layers: Value, batch: usize) -> Network {
    crate::instructions::use_asked();
    let tables: Vec<Map<String, Value>> = serde_json::from_value(layers).unwrap();
    let graph = Graph::from_tables(input, tables).unwrap_or_else(|(error, _)| panic!("{error}"));
    Network::new(graph, Execution::float32(batch)).unwrap()
}

fn half(seed: u32, count: usize) -> impl Iterator<Item = f32> {
    values(seed, count).into_iter().map(|value| value / 2.0)
}

#[test]
fn recurrent_layers_compute_what_pytorch_says() {
    let golden = golden();
    let cases = golden["layers"].as_array().unwrap();
    for kind in ["lstm", "gru", "rnn", "rhn"] {
        assert!(cases.iter().any(|case| case["layer"]["type"] == kind), "no {kind}");
    }
    cases.iter().for_each(check);
}

/// A gradient is a sum over T N rows of values that passed through T steps, each with sums of D + H terms of
/// magnitude 1 at most and four roundings per exponential. With weights of a half, errors do not grow.
fn check(case: &Value) {
    let [steps, n, features] = sizes(&case["input"])[..] else { panic!("three sizes") };
    let source = json!({"name": "source", "type": "embedding", "features": features});
    let mut layer = case["layer"].clone();
    layer["name"] = "layer".into();
    let words = Shape::Tokens { steps, vocabulary: steps * n };
    let mut network = build(words, json!([source, layer]), n);
    let hidden = case["layer"]["hidden"].as_u64().unwrap() as usize;
    let tolerance = 4.0 * (steps * n + features + hidden) as f64 * 4.0 * ROUNDING;

    let ranges: Vec<_> = network.parameters.table.iter().map(|parameter| parameter.range.clone()).collect();
    network.parameters.values[ranges[0].clone()].copy_from_slice(&values(INPUT, ranges[0].len()));
    for (range, seed) in ranges[1..].iter().zip(WEIGHT..) {
        let first = half(seed, range.len());
        network.parameters.values[range.clone()].iter_mut().zip(first).for_each(|(to, value)| *to = value);
    }
    let is_bidirectional = case["layer"]["bidirectional"] == true;
    for ((_, state), seed) in network.recurrent_state().into_iter().zip(STATE..) {
        let first = half(seed, n * hidden).map(|value| if is_bidirectional { 0.0 } else { value });
        state.values.iter_mut().zip(first).for_each(|(to, value)| *to = value);
    }
    network.input_mut(n).iter_mut().enumerate().for_each(|(i, token)| *token = i as f32);
    network.forward(n, Mode::Train(Default::default()));
    let (output, gradient) = network.output_and_gradient();
    let output = output.to_vec();
    gradient.copy_from_slice(&values(PROJECTION, output.len()));
    network.backward(n);

    let compare = |name: &str, found: &[f32], golden: &Value| {
        assert_close(&format!("{name} of {}", case["layer"]), found, &floats(golden), tolerance);
    };
    compare("output", &output, &case["output"]);
    let states = network.recurrent_state();
    assert!(is_bidirectional || states.len() == case["states"].as_array().unwrap().len());
    for ((_, state), golden) in states.iter().zip(case["states"].as_array().unwrap()) {
        compare(state.name, state.values, golden);
    }
    let gradients = &network.parameters.gradients;
    compare("input's gradient", &gradients[ranges[0].clone()], &case["input_gradient"]);
    let named = case["gradients"].as_object().unwrap();
    assert_eq!(named.len(), ranges.len() - 1);
    for parameter in &network.parameters.table[1..] {
        let name = if is_bidirectional { &parameter.name[..] } else { parameter.spec.name };
        compare(name, &gradients[parameter.range.clone()], &named[name]);
    }
}

/// A bidirectional layer is three of ours, the last of which has no parameters.
#[test]
fn bidirectional_layers_compute_what_pytorch_says() {
    let golden = golden();
    let cases = golden["bidirectional"].as_array().unwrap();
    for kind in ["lstm", "gru", "rnn"] {
        assert!(cases.iter().any(|case| case["layer"]["type"] == kind), "no {kind}");
    }
    for case in cases {
        assert_eq!(case["layer"]["bidirectional"], true);
        check(case);
    }
}

/// Copies, of which the file has nine digits, and sums of three numbers at most.
#[test]
fn an_embedding_computes_what_pytorch_says() {
    let golden = &golden()["embedding"];
    let (tokens, features) = (sizes(&golden["tokens"]), golden["features"].as_u64().unwrap() as usize);
    let vocabulary = golden["words"].as_u64().unwrap() as usize;
    let layer = json!([{"name": "e", "type": "embedding", "features": features}]);
    let mut network = build(Shape::Tokens { steps: 3, vocabulary }, layer, tokens.len() / 3);
    let weight = values(WEIGHT, vocabulary * features);
    network.parameters.values.copy_from_slice(&weight);
    let input = network.input_mut(tokens.len() / 3);
    input.copy_from_slice(&numbers(&golden["tokens"], |token| token.as_f64().map(|token| token as f32)));
    network.forward(tokens.len() / 3, Mode::Train(Default::default()));
    let (output, gradient) = network.output_and_gradient();
    assert_close("output", output, &floats(&golden["output"]), ROUNDING);
    gradient.copy_from_slice(&values(PROJECTION, tokens.len() * features));
    network.backward(tokens.len() / 3);
    assert_close("gradient", &network.parameters.gradients, &floats(&golden["gradient"]), 9.0 * ROUNDING);
}
