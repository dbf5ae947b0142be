//! Every layer's gradients against central differences, coordinate by coordinate, for inputs and parameters alike.
//!
//! The loss is L = sum of r_i y_i with a fixed r, summed in f64. Each layer here is linear in every single coordinate
//! between its kinks, so a difference of any step has no truncation error; and inputs, parameters and r are small
//! integers, so that products and sums below 2^24 are exact in f32 and the comparison can demand equality. Inputs are
//! distinct odd integers: a step of 1 can reach a kink (zero, or a tie in a window) but never cross it.

mod activations;
mod columns;
mod conv2d_bf16;
mod examples;
pub(super) mod instructions;
mod layer_norm;
mod linear_bf16;
mod pooling;
mod sequences;
mod smooth;

use serde_json::{Value, json};

use crate::layer::{
    Backward, BackwardReads, Draw, Forward, InputGradients, Inputs, Layer, Mode, ParameterSpec, Place,
    Tensors, TensorsMut,
};
use crate::{Execution, LayerSpec, Shape};
use ternflock_base::rng::{Purpose, Stream};
use ternflock_tensor::Buffers;

/// A layer with what it reads, for checks of its gradients.
pub(super) struct Check {
    layer: Box<dyn Layer>,
    reads: BackwardReads,
    batch: usize,
    places: Vec<Place>,
    statistics_places: Vec<Place>,
    statistics: Vec<f32>,
    x: Vec<f32>,
    parameters: Vec<f32>,
    y: Vec<f32>,
    r: Vec<f32>,
}

fn order(n: usize, subject: u32) -> Vec<usize> {
    let stream = Stream { seed: 3, purpose: Purpose::Test, step: 0, subject, tensor: 0 };
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&i| stream.word(i as u64));
    order
}

fn odd_integers(n: usize) -> Vec<f32> {
    order(n, 1).iter().map(|&i| 2.0 * i as f32 + 1.0 - 2.0 * (n / 2) as f32).collect()
}

fn small_integers(n: usize, subject: u32) -> Vec<f32> {
    order(n, subject).iter().map(|&i| (i % 7) as f32 - 3.0).collect()
}

/// Values that bf16 must round, because they have about 17 significant bits.
fn reals(n: usize, subject: u32) -> Vec<f32> {
    order(n, subject).iter().map(|&i| ((i * 7919) % 100_003) as f32 / 16_384.0 - 3.0).collect()
}

/// Compares sums of `terms` bf16 products of [`reals`], each below 10, with those of float32 arithmetic. They are
/// equal, unless AMX adds in another order. Then each term is part of at most 100 roundings if there are up to 80 terms in
/// one chain, and of `terms` / 8 if they are added in 16 lanes or in blocks of 32; each is at most 2^-24 of the sum of
/// magnitudes.
#[track_caller]
fn assert_same_sums(found: &[f32], expected: &[f32], terms: usize, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    if !ternflock_tensor::bf16::has_amx_bf16() {
        return assert_eq!(found, expected, "{what}");
    }
    let tolerance = (100 + terms / 8) as f32 * 2f32.powi(-24) * 10.0 * terms as f32;
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance, "{what}: {found} instead of {expected} at {i}");
    }
}

/// The ranges of tensors in a vector of all of them.
pub(super) fn side_by_side(specs: &[ParameterSpec]) -> Vec<Place> {
    let ends = specs.iter().scan(0, |end, spec| {
        let start = *end;
        *end += spec.shape.iter().product::<usize>();
        Some(Place { name: spec.name, range: start..*end })
    });
    ends.collect()
}

/// The gradients of the input and of the parameters that `layer` computes from `dy`, after a forward pass on
/// `x` that gave `y`; NaN for the input if its gradient is not `wanted`. It cannot read values that are not in `reads`.
pub(super) fn backward(
    (layer, reads): (&mut dyn Layer, BackwardReads),
    batch: usize,
    parameters: Tensors,
    x: &[Vec<f32>; 1],
    [y, dy]: [&[f32]; 2],
    wanted: bool,
) -> (Vec<f32>, Vec<f32>) {
    let elements = [x[0].len()];
    let mut dx = [vec![f32::NAN; elements[0]]];
    let mut gradients = vec![f32::NAN; parameters.flat.len()];
    layer.backward(Backward {
        batch,
        parameters,
        gradients: TensorsMut { flat: &mut gradients, places: parameters.places, shared: &[] },
        x: Inputs { buffers: if reads.inputs { x } else { &[] }, sources: &[0], elements: &elements },
        y: if reads.output { y } else { &[] },
        dy,
        dx: InputGradients { buffers: &mut dx, sources: &[0], elements: &elements, wanted: &[wanted] },
    });
    let [dx] = dx;
    (dx, gradients)
}

impl Check {
    /// The layer of the table `spec` on `batch` samples of `input`, in float32.
    pub(super) fn new(spec: Value, input: Shape, batch: usize) -> Check {
        // Capacity for more than the batch, as in a smaller last batch.
        Check::with(spec, input, batch, Execution::float32(batch + 2))
    }

    /// The same, built for `execution`.
    fn with(spec: Value, input: Shape, batch: usize, execution: Execution) -> Check {
        instructions::use_asked();
        let spec: LayerSpec = serde_json::from_value(spec).unwrap();
        let describe = spec.describe();
        let places = side_by_side(&describe.parameters(&[input]).unwrap());
        let statistics_places = side_by_side(&describe.statistics(&[input]).unwrap());
        let outputs = describe.output(&[input]).unwrap().elements() * batch;
        Check {
            layer: describe.build(&[input], execution, &mut Buffers::allocating()).unwrap(),
            reads: describe.backward_reads(),
            batch,
            x: odd_integers(input.elements() * batch),
            parameters: small_integers(places.last().map_or(0, |place| place.range.end), 2),
            places,
            statistics: vec![0.0; statistics_places.last().map_or(0, |place| place.range.end)],
            statistics_places,
            y: vec![f32::NAN; outputs],
            r: small_integers(outputs, 3),
        }
    }

    fn loss(&mut self) -> f64 {
        self.layer.forward(Forward {
            batch: self.batch,
            mode: Mode::Train(Draw::default()),
            layer: 0,
            parameters: Tensors { flat: &self.parameters, places: &self.places },
            statistics: TensorsMut {
                flat: &mut self.statistics,
                places: &self.statistics_places,
                shared: &[],
            },
            x: Inputs { buffers: std::slice::from_ref(&self.x), sources: &[0], elements: &[self.x.len()] },
            y: &mut self.y,
        });
        self.y.iter().zip(&self.r).map(|(&y, &r)| f64::from(y) * f64::from(r)).sum()
    }

    /// Gradients with respect to the input and to the parameters; the gradient of the input is not computed
    /// if `wanted` is false.
    fn gradients(&mut self, wanted: bool) -> (Vec<f32>, Vec<f32>) {
        self.loss();
        let parameters = Tensors { flat: &self.parameters, places: &self.places };
        let x = std::array::from_ref(&self.x);
        backward((&mut *self.layer, self.reads), self.batch, parameters, x, [&self.y, &self.r], wanted)
    }

    /// Compares all gradients with differences.
    pub(super) fn run(mut self, tolerance: f64) {
        let (dx, gradients) = self.gradients(true);
        assert!(dx.iter().any(|&g| g != 0.0), "all gradients are zero: nothing is checked");
        self.differences(true, &dx, tolerance);
        self.differences(false, &gradients, tolerance);
        assert_eq!(self.gradients(false).1, gradients, "the same whether or not the input's is wanted");
    }

    /// Compares `computed`, the gradient of the input or of the parameters, with central differences.
    fn differences(&mut self, input: bool, computed: &[f32], tolerance: f64) {
        let what = if input { "input" } else { "parameter" };
        for (i, &gradient) in computed.iter().enumerate() {
            let mut moved = |by: f32| {
                let place = if input { &mut self.x[i] } else { &mut self.parameters[i] };
                let value = std::mem::replace(place, *place + by);
                let loss = self.loss();
                *if input { &mut self.x[i] } else { &mut self.parameters[i] } = value;
                loss
            };
            let difference = (moved(1.0) - moved(-1.0)) / 2.0;
            let error = (f64::from(gradient) - difference).abs();
            assert!(error <= tolerance, "{what} {i}: {gradient}, differences say {difference}");
        }
    }
}

const IMAGE: Shape = Shape::Image { channels: 2, height: 5, width: 6 };

#[test]
fn linear() {
    for bias in [true, false] {
        let input = Shape::Vector { features: 7 };
        Check::new(json!({"type": "linear", "units": 5, "bias": bias}), input, 4).run(0.0);
    }
}

/// Each step of a sequence is a row.
#[test]
fn linear_of_sequences() {
    let input = Shape::Sequence { steps: 3, features: 4 };
    Check::new(json!({"type": "linear", "units": 5}), input, 2).run(0.0);
}

/// Tokens have no gradient; the weight's is a sum of small integers. One token occurs twice, one never.
#[test]
fn embedding() {
    let tokens = [2.0, 0.0, 1.0, 2.0, 4.0, 4.0];
    for vocabulary in [None, Some(7)] {
        let mut spec = json!({"type": "embedding", "features": 3});
        spec.as_object_mut().unwrap().extend(vocabulary.map(|v: usize| ("vocabulary".to_string(), json!(v))));
        let mut check = Check::new(spec, Shape::Tokens { steps: 3, vocabulary: 5 }, 2);
        check.x.copy_from_slice(&tokens);
        assert_eq!(check.parameters.len(), 3 * vocabulary.unwrap_or(5));
        let (_, gradients) = check.gradients(false);
        check.differences(false, &gradients, 0.0);
        assert!(gradients[3 * 3..4 * 3].iter().all(|&g| g == 0.0) && gradients.iter().any(|&g| g != 0.0));
    }
}

#[test]
fn conv2d() {
    let cases = [(json!(1), 1, 0), (json!(3), 1, 1), (json!(3), 2, 1), (json!([5, 2]), 3, 1)];
    for (kernel, stride, padding) in cases {
        for bias in [true, false] {
            let spec = json!({"type": "conv2d", "filters": 3, "kernel": kernel, "stride": stride,
                              "padding": padding, "bias": bias});
            Check::new(spec, IMAGE, 3).run(0.0);
        }
    }
}

/// Enough samples that the columns need several tiles, the last of which is smaller.
#[test]
fn conv2d_in_tiles() {
    let image = Shape::Image { channels: 1, height: 64, width: 60 };
    let spec = json!({"type": "conv2d", "filters": 2, "kernel": [6, 1], "stride": [20, 1]});
    let mut small = Check::new(spec, image, 71);
    // Smaller inputs keep the sums over 71 samples exact. The parameters touch every tile; checking all 270,000 inputs
    // would take minutes.
    small.x = small_integers(small.x.len(), 4);
    let (dx, gradients) = small.gradients(true);
    // A pixel of each tile: the first, one in the middle, the last.
    for i in [0, small.x.len() / 2, small.x.len() - 61] {
        let value = small.x[i];
        small.x[i] = value + 1.0;
        let up = small.loss();
        small.x[i] = value - 1.0;
        let difference = (up - small.loss()) / 2.0;
        small.x[i] = value;
        assert_eq!(f64::from(dx[i]), difference, "pixel {i}");
    }
    for (i, &gradient) in gradients.iter().enumerate() {
        let value = small.parameters[i];
        small.parameters[i] = value + 1.0;
        let up = small.loss();
        small.parameters[i] = value - 1.0;
        let difference = (up - small.loss()) / 2.0;
        small.parameters[i] = value;
        assert_eq!(f64::from(gradient), difference, "parameter {i}");
    }
}

/// Kernel, stride, padding, rounding up; strides 1 and 2 have separate loops.
const POOLINGS: [(usize, usize, usize, bool); 5] =
    [(2, 2, 0, false), (3, 2, 1, true), (3, 2, 0, true), (3, 1, 1, false), (2, 3, 1, true)];

#[test]
fn rectangular_windows() {
    for kind in ["max_pool2d", "avg_pool2d"] {
        let spec = json!({"type": kind, "kernel": [3, 2], "stride": [1, 2], "padding": [1, 0]});
        Check::new(spec, IMAGE, 3).run(10.0 * 180.0 * 12.0 * 2f64.powi(-24));
    }
}

/// By both ways: 3 samples are less than half of AVX-512's vectors, 9 fill one of AVX2's and begin another.
#[test]
fn conv2d_in_groups() {
    let image = Shape::Image { channels: 4, height: 3, width: 3 };
    for batch in [3, 9] {
        let spec = json!({"type": "conv2d", "filters": 6, "kernel": 2, "padding": 1, "groups": 2});
        Check::new(spec, image, batch).run(0.0);
    }
}

#[test]
fn a_nan_wins_its_windows() {
    for stride in [1, 2, 3] {
        let mut check = Check::new(json!({"type": "max_pool2d", "kernel": 3, "stride": stride}), IMAGE, 1);
        check.x[7] = f32::NAN;
        check.loss();
        // Pixel 7 is row 1, column 1 of the first channel: the first window covers it.
        assert!(check.y[0].is_nan() && check.y.iter().any(|y| !y.is_nan()), "stride {stride}: {:?}", check.y);
    }
}

/// -0 and 0 are equal, so the first one wins.
#[test]
fn of_equal_pixels_the_first_wins() {
    let image = Shape::Image { channels: 1, height: 1, width: 4 };
    let mut check = Check::new(json!({"type": "max_pool2d", "kernel": [1, 2]}), image, 1);
    check.x.copy_from_slice(&[-0.0, 0.0, 0.0, -0.0]);
    check.r.copy_from_slice(&[1.0, 2.0]);
    assert_eq!(check.gradients(true).0, [1.0, 0.0, 2.0, 0.0]);
}

#[test]
fn max_pool2d() {
    for (kernel, stride, padding, ceil) in POOLINGS {
        let spec = json!({"type": "max_pool2d", "kernel": kernel, "stride": stride, "padding": padding,
                          "ceil": ceil});
        Check::new(spec, IMAGE, 3).run(0.0);
    }
}

/// A mean of at most 9 values of at most 180 by a rounded 1/9 has an error below 10 x 180 units of 2^-24 per
/// output; at most 4 windows, weighted by at most 3, share an input.
#[test]
fn avg_pool2d() {
    for (kernel, stride, padding, ceil) in POOLINGS {
        let spec = json!({"type": "avg_pool2d", "kernel": kernel, "stride": stride, "padding": padding,
                          "ceil": ceil});
        Check::new(spec, IMAGE, 3).run(10.0 * 180.0 * 12.0 * 2f64.powi(-24));
    }
}

#[test]
fn relu() {
    Check::new(json!({"type": "relu"}), IMAGE, 3).run(0.0);
}

#[test]
fn flatten() {
    Check::new(json!({"type": "flatten"}), IMAGE, 3).run(0.0);
}

/// A mean of 16 is exact; that of 30 values of at most 180 by a rounded 1/30 has an error below 31 x 180
/// units of 2^-24.
#[test]
fn global_avg_pool2d() {
    let square = Shape::Image { channels: 3, height: 4, width: 4 };
    Check::new(json!({"type": "global_avg_pool2d"}), square, 3).run(0.0);
    let tolerance = 31.0 * 180.0 * 18.0 * 2f64.powi(-24);
    Check::new(json!({"type": "global_avg_pool2d"}), IMAGE, 3).run(tolerance);
}

#[test]
fn shortcut() {
    for (channels, stride) in [(2, 1), (2, 2), (3, 1), (4, 2), (5, 3)] {
        let spec = json!({"type": "shortcut", "channels": channels, "stride": stride});
        Check::new(spec, IMAGE, 3).run(0.0);
    }
}

/// The same elements are dropped as long as step and samples are the same.
#[test]
fn dropout() {
    for input in [IMAGE, Shape::Vector { features: 21 }, Shape::Sequence { steps: 3, features: 5 }] {
        Check::new(json!({"type": "dropout", "rate": 0.5}), input, 3).run(0.0);
    }
}
