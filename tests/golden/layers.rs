//! One layer at a time: output and gradients under the loss sum(projection * output).
//!
//! To observe the gradient with respect to a layer's input, that input is made a parameter: a convolution of
//! one pixel comes before the layer, with a different channel set in each sample and a kernel as large as the
//! image. Its output is its weight, turned by 180 degrees, and so the gradient of its weight is that of its
//! output. All its sums have one term that is not zero, so it adds no error. For vectors and sequences, a linear
//! layer serves the same purpose.
//!
//! Letters: N samples, C channels, H W image, L steps; a vector of C features is treated as C channels of 1x1.
//! Sequences are [N, C, L] in PyTorch and [L, N, C] here.

use serde_json::{Map, Value, json};
use ternflock::nn::layer::{Draw, Mode};
use ternflock::nn::{Execution, Graph, Network, Shape};

use crate::{BIAS, INPUT, PROJECTION, ROUNDING, WEIGHT, assert_close, floats, sizes, values};

#[test]
fn layers_compute_what_pytorch_says() {
    let golden: Value = serde_json::from_str(include_str!("layers.json")).unwrap();
    let cases = golden["layers"].as_array().unwrap();
    cases.iter().for_each(check);
    let kinds = [
        "conv2d",
        "max_pool2d",
        "avg_pool2d",
        "linear",
        "relu",
        "batch_norm",
        "local_response_norm",
        "global_avg_pool2d",
        "shortcut",
        "leaky_relu",
        "tanh",
        "sigmoid",
        "gelu",
        "layer_norm",
        "conv1d",
        "max_pool1d",
        "avg_pool1d",
        "global_avg_pool1d",
        "last_step",
        "flatten",
    ];
    for kind in kinds {
        assert!(cases.iter().any(|case| case["layer"]["type"] == kind), "no {kind}");
    }
}

fn check(case: &Value) {
    let input = sizes(&case["input"]);
    let mut network = network(&case["layer"], &input);
    let ranges: Vec<_> = network.parameters.table.iter().map(|parameter| parameter.range.clone()).collect();
    let source = places(&input);
    let scale = case.get("scale").map_or(1.0, |scale| scale.as_f64().unwrap() as f32);
    for (&place, value) in source.iter().zip(values(INPUT, source.len())) {
        network.parameters.values[place] = scale * value;
    }
    for (range, seed) in ranges[1..].iter().zip([WEIGHT, BIAS]) {
        network.parameters.values[range.clone()].copy_from_slice(&values(seed, range.len()));
    }

    let n = input[0];
    let one_hot = network.input_mut(n);
    let rows = one_hot.len().isqrt();
    one_hot.iter_mut().enumerate().for_each(|(i, x)| *x = if i % rows == i / rows { 1.0 } else { 0.0 });
    network.forward(n, Mode::Train(Draw::default()));
    let order = torch_order(&sizes(&case["output"]["shape"]));
    let (output, gradient) = network.output_and_gradient();
    let output: Vec<f32> = order.iter().map(|&at| output[at]).collect();
    order.iter().zip(values(PROJECTION, order.len())).for_each(|(&at, value)| gradient[at] = value);
    network.backward(n);

    compare(case, "output", &output);
    let gradients = &network.parameters.gradients;
    compare(case, "input_gradient", &source.iter().map(|&place| gradients[place]).collect::<Vec<_>>());
    for (range, name) in ranges[1..].iter().zip(["weight_gradient", "bias_gradient"]) {
        compare(case, name, &gradients[range.clone()]);
    }
    if case.get("evaluated").is_some() {
        let statistics = &network.parameters.statistics;
        for (tensor, name) in statistics.table.iter().zip(["running_mean", "running_var"]) {
            compare(case, name, &statistics.values[tensor.range.clone()]);
        }
        let output = network.forward(n, Mode::Evaluate);
        compare(case, "evaluated", &order.iter().map(|&at| output[at]).collect::<Vec<_>>());
    }
}

/// The layer of `table`, after the layer whose parameters are its input.
fn network(table: &Value, input: &[usize]) -> Network {
    crate::instructions::use_asked();
    let (shape, source) = match *input {
        [n, c, h, w] => {
            let kernel = json!({"type": "conv2d", "filters": c, "kernel": [h, w], "padding": [h - 1, w - 1], "bias": false});
            (Shape::Image { channels: n, height: 1, width: 1 }, kernel)
        }
        [n, c] => (Shape::Vector { features: n }, json!({"type": "linear", "units": c, "bias": false})),
        [n, c, l] => {
            let linear = json!({"type": "linear", "units": c, "bias": false});
            (Shape::Sequence { steps: l, features: l * n }, linear)
        }
        _ => panic!("{input:?} is neither [N, C, H, W] nor [N, C, L] nor [N, D]"),
    };
    let tables: Vec<Map<String, Value>> = serde_json::from_value(json!([source, table])).unwrap();
    let graph = Graph::from_tables(shape, tables).unwrap_or_else(|(error, _)| panic!("{table}: {error}"));
    Network::new(graph, Execution::float32(input[0])).unwrap()
}

/// The place of each element of the input [N, C, H, W] in the first weight, which is [C, N, H, W] and
/// rotated; or of [N, C, L] in [C, L N].
fn places(input: &[usize]) -> Vec<usize> {
    if let [n, c, l] = *input {
        let line = |sample: usize, channel: usize| (0..l).map(move |step| (channel * l + step) * n + sample);
        return (0..n).flat_map(|sample| (0..c).flat_map(move |channel| line(sample, channel))).collect();
    }
    let (n, c, pixels) = (input[0], input[1], input[2..].iter().product::<usize>());
    let plane =
        |sample: usize, channel: usize| (0..pixels).rev().map(move |at| (channel * n + sample) * pixels + at);
    (0..n).flat_map(|sample| (0..c).flat_map(move |channel| plane(sample, channel))).collect()
}

/// The place of each element of PyTorch's output [N, C, P, Q], [N, C, L] or [N, K] in ours, [C, P, Q, N],
/// [L, N, C] or [N, K].
fn torch_order(shape: &[usize]) -> Vec<usize> {
    if let [n, c, l] = *shape {
        let line = |sample: usize, channel: usize| (0..l).map(move |step| (step * n + sample) * c + channel);
        return (0..n).flat_map(|sample| (0..c).flat_map(move |channel| line(sample, channel))).collect();
    }
    let [n, c, p, q] = *shape else { return (0..shape.iter().product()).collect() };
    let plane = |sample: usize, channel: usize| (0..p * q).map(move |at| (channel * p * q + at) * n + sample);
    (0..n).flat_map(|sample| (0..c).flat_map(move |channel| plane(sample, channel))).collect()
}

/// A sum of n terms, each rounded once and of magnitude at most 1, is off by at most n roundings of at most n, in
/// whatever order it is taken (Higham, "Accuracy and Stability of Numerical Algorithms", section 4.2). A copy is exact.
#[track_caller]
fn compare(case: &Value, name: &str, found: &[f32]) {
    let golden = &case[name];
    assert_eq!(sizes(&golden["shape"]).iter().product::<usize>(), found.len(), "{name} of {}", case["layer"]);
    let terms = golden["terms"].as_f64().unwrap();
    assert_close(
        &format!("{name} of {}", case["layer"]),
        found,
        &floats(&golden["values"]),
        terms * terms * ROUNDING,
    );
}
