//! ResNet-20 trained for ten steps of SGD with momentum and weight decay, which tests batch norm, shortcuts
//! and sums of branches together.

use serde_json::Value;
use ternflock::job::{self, OptimizerKind};
use ternflock::models;
use ternflock::nn::layer::{Draw, Mode};
use ternflock::nn::{Execution, Network, Parameter, Parameters, Shape, softmax_cross_entropy};
use ternflock::optim::Optimizer;

use crate::{ROUNDING, floats, sizes, values};

/// Batch norm over few samples and rectifiers near zero make a difference grow with every step. How far it grows was
/// measured in double precision, in runs whose every number is disturbed by a few roundings: `spread` and `spreads`. PyTorch's
/// own float32 is off by 14 times that in the losses, 4 times in the projections; twice 14, and the rounding of a
/// loss, is what is allowed.
const SPREADS: f64 = 28.0;

#[test]
fn ten_steps_of_resnet_are_pytorchs() {
    let golden: Value = serde_json::from_str(include_str!("resnet.json")).unwrap();
    let labels = sizes(&golden["labels"]);
    let number = |name: &str| golden[name].as_f64().unwrap();
    let mut network = begin(&golden, labels.len());
    let begun = network.parameters.clone();
    let kind = OptimizerKind::Sgd { momentum: number("momentum") };
    let (learning_rate, weight_decay) = (number("rate"), number("decay"));
    let job = job::Optimizer { kind, learning_rate, weight_decay, decay_layers: None, clip_norm: None };
    let mut optimizer = Optimizer::new(&job, network.parameters.values.len());

    let expected = floats(&golden["losses"]).into_iter().zip(floats(&golden["spread"]));
    for (step, (expected, spread)) in expected.enumerate() {
        let loss = take_step(&golden, &labels, &mut network, &mut optimizer, learning_rate);
        let tolerance = SPREADS * spread + 8.0 * ROUNDING;
        let error = (loss - expected).abs();
        assert!(error <= tolerance, "step {step}: {loss}, PyTorch says {expected}: {error} > {tolerance}");
    }
    for ((tensor, now), (_, begun)) in tensors(&network.parameters).zip(tensors(&begun)) {
        let (name, projection) = (&tensor.name, Projection::of(&golden, tensor));
        let (error, tolerance) = (projection.error(now), projection.tolerance);
        assert!(error <= tolerance, "{name}: {error} from PyTorch's value, more than {tolerance}");
        // A tolerance that an unmoved tensor passes would test nothing.
        let unmoved = projection.error(begun);
        assert!(unmoved > 1.5 * tolerance, "{name} would pass unmoved: {unmoved}, {tolerance}");
    }
}

/// All tensors, trained or not, and their values.
fn tensors(parameters: &Parameters) -> impl Iterator<Item = (&Parameter, &[f32])> {
    let statistics = &parameters.statistics;
    let trained = parameters.table.iter().map(|tensor| (tensor, &parameters.values));
    let all = trained.chain(statistics.table.iter().map(|tensor| (tensor, &statistics.values)));
    all.map(|(tensor, values)| (tensor, &values[tensor.range.clone()]))
}

/// PyTorch's value of a tensor along one direction. The tensor's movement in the ten steps has at least half of its
/// length along that direction (`directions`), because a direction at a right angle to it would test nothing of the
/// update.
struct Projection {
    direction: Vec<f32>,
    expected: f64,
    tolerance: f64,
}

impl Projection {
    fn of(golden: &Value, tensor: &Parameter) -> Projection {
        let of = |name: &str| golden[name][&tensor.name].as_f64().unwrap();
        Projection {
            direction: values(of("directions") as u32, tensor.range.len()),
            expected: of("projections"),
            tolerance: SPREADS * of("spreads"),
        }
    }

    fn error(&self, values: &[f32]) -> f64 {
        let products = values.iter().zip(&self.direction).map(|(&v, &d)| f64::from(v) * f64::from(d));
        (products.sum::<f64>() - self.expected).abs()
    }
}

/// The preset with the parameters that `resnet_golden.py` gives it; batch norm layers keep their default
/// initialisation.
fn begin(golden: &Value, batch: usize) -> Network {
    crate::instructions::use_asked();
    let input = Shape::Image { channels: 3, height: 32, width: 32 };
    let mut network =
        Network::new(models::preset("resnet-20", input, 10).unwrap(), Execution::float32(batch)).unwrap();
    let parameters = &mut network.parameters;
    parameters.initialise(0);
    let scales = golden["scales"].as_object().unwrap();
    assert_eq!(parameters.table.len(), scales.len());
    for (number, parameter) in parameters.table.iter().enumerate() {
        let tensor = &mut parameters.values[parameter.range.clone()];
        let Some(scale) = scales[&parameter.name].as_f64() else { continue };
        let drawn = values(10 * number as u32, tensor.len());
        tensor.iter_mut().zip(drawn).for_each(|(to, value)| *to = scale as f32 * value);
    }
    network
}

/// One step on the only batch; returns its mean loss.
fn take_step(
    golden: &Value,
    labels: &[usize],
    network: &mut Network,
    optimizer: &mut Optimizer,
    rate: f64,
) -> f64 {
    let batch = labels.len();
    let pixels = network.input_mut(batch);
    let pictures = values(golden["pictures"].as_u64().unwrap() as u32, pixels.len());
    // PyTorch's are [N, 3, H, W], ours [3, H, W, N].
    let sample = pixels.len() / batch;
    for (i, value) in pictures.into_iter().enumerate() {
        pixels[i % sample * batch + i / sample] = value;
    }
    network.forward(batch, Mode::Train(Draw::default()));
    let (logits, gradient) = network.output_and_gradient();
    let tally = softmax_cross_entropy(logits, labels, 1.0 / batch as f32, Some(gradient));
    network.backward(batch);
    optimizer.step(0, rate, &mut network.parameters);
    tally.mean_loss()
}
