//! Caffe's LeNet trained for ten steps of SGD with momentum and weight decay, which tests the network, the
//! loss and the optimizer together.

use serde_json::Value;
use ternflock::job::{self, OptimizerKind};
use ternflock::models;
use ternflock::nn::layer::{Draw, Mode};
use ternflock::nn::{Execution, Network, Shape, softmax_cross_entropy};
use ternflock::optim::Optimizer;

use crate::{BIAS, PROJECTION, ROUNDING, WEIGHT, floats, sizes, values};

/// Errors of single roundings have either sign, so a sum of n of them grows as sqrt(n).
///
/// *Losses.* A loss is off by at most twice the error of a logit; logits are below 4 here, and the widest of the sums
/// they come from has 800 terms: 2 * 4 * sqrt(800) roundings. PyTorch's own float32 stays within a fiftieth of that.
///
/// *Parameters.* Each of ten updates rounds a parameter of about `scale`, and the gradients' own errors are like it:
/// taken together 8 roundings of `scale`, and their projection by numbers below 1, sqrt(n) times that. PyTorch's own
/// float32 stays within a tenth of it; biases that decay as weights do are off by ten times it and more.
#[test]
fn ten_steps_of_lenet_are_pytorchs() {
    let golden: Value = serde_json::from_str(include_str!("lenet.json")).unwrap();
    let labels = sizes(&golden["labels"]);
    let scales = scales(&golden);
    let mut network = begin(&golden, labels.len());
    let kind = OptimizerKind::Sgd { momentum: 0.9 };
    let job = job::Optimizer {
        kind,
        learning_rate: 0.01,
        weight_decay: 0.0005,
        decay_layers: None,
        clip_norm: None,
    };
    let mut optimizer = Optimizer::new(&job, network.parameters.values.len());

    for (step, expected) in floats(&golden["losses"]).into_iter().enumerate() {
        let loss = take_step(&golden, &labels, &mut network, &mut optimizer);
        let tolerance = 2.0 * 4.0 * 800f64.sqrt() * ROUNDING;
        let error = (loss - expected).abs();
        assert!(error <= tolerance, "step {step}: {loss}, PyTorch says {expected}: {error} > {tolerance}");
    }
    for (parameter, scale) in network.parameters.table.iter().zip(scales) {
        let values_now = &network.parameters.values[parameter.range.clone()];
        let weights = values(PROJECTION, values_now.len());
        let products =
            values_now.iter().zip(weights).map(|(&value, weight)| f64::from(value) * f64::from(weight));
        let (projection, expected) =
            (products.sum::<f64>(), golden["projections"][&parameter.name].as_f64().unwrap());
        let tolerance = 8.0 * scale * (values_now.len() as f64).sqrt() * ROUNDING;
        let error = (projection - expected).abs();
        assert!(
            error <= tolerance,
            "{}: {projection}, PyTorch says {expected}: {error} > {tolerance}",
            parameter.name
        );
    }
}

/// The bound of each tensor's first values, alternating between weight and bias.
fn scales(golden: &Value) -> Vec<f64> {
    let layers = golden["layers"].as_array().unwrap();
    layers.iter().flat_map(|layer| [layer["scale"].as_f64().unwrap(); 2]).collect()
}

/// The preset with the parameters that `make_golden.py` gives it.
fn begin(golden: &Value, batch: usize) -> Network {
    crate::instructions::use_asked();
    let graph = models::preset("lenet", Shape::Image { channels: 1, height: 28, width: 28 }, 10).unwrap();
    let mut network = Network::new(graph, Execution::float32(batch)).unwrap();
    let names = golden["layers"].as_array().unwrap().iter().map(|layer| layer["name"].as_str().unwrap());
    let seeds = names.zip((0..).step_by(10)).flat_map(|(name, seed)| {
        [(format!("{name}/weight"), seed + WEIGHT), (format!("{name}/bias"), seed + BIAS)]
    });
    let parameters = &mut network.parameters;
    assert_eq!(parameters.table.len(), seeds.clone().count());
    for ((parameter, (name, seed)), scale) in parameters.table.iter().zip(seeds).zip(scales(golden)) {
        assert_eq!(parameter.name, name);
        let first = values(seed, parameter.range.len()).into_iter().map(|value| scale as f32 * value);
        parameters.values[parameter.range.clone()].iter_mut().zip(first).for_each(|(to, value)| *to = value);
    }
    network
}

/// One step on the only batch; returns its mean loss.
fn take_step(golden: &Value, labels: &[usize], network: &mut Network, optimizer: &mut Optimizer) -> f64 {
    let batch = labels.len();
    let pixels = network.input_mut(batch);
    let pictures = values(golden["pictures"].as_u64().unwrap() as u32, pixels.len());
    // PyTorch's are [N, 1, H, W], ours [1, H, W, N].
    let area = pixels.len() / batch;
    for (i, value) in pictures.into_iter().enumerate() {
        pixels[i % area * batch + i / area] = (value + 1.0) / 2.0;
    }
    network.forward(batch, Mode::Train(Draw::default()));
    let (logits, gradient) = network.output_and_gradient();
    let tally = softmax_cross_entropy(logits, labels, 1.0 / batch as f32, Some(gradient));
    network.backward(batch);
    optimizer.step(0, 0.01, &mut network.parameters);
    tally.mean_loss()
}
