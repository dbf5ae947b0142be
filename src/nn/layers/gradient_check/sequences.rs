//! Layers over the steps of sequences `[T, N, D]`: gradients as elsewhere, and outputs against plain definitions, bit for
//! bit. Every number is a small integer, so that sums are exact in any order.

use serde_json::{Value, json};

use super::{Check, order, small_integers};
use crate::{Execution, Shape};
use ternflock_tensor::Precision;

fn sequence(steps: usize, features: usize) -> Shape {
    Shape::Sequence { steps, features }
}

/// The options of a convolution, and the zeros before and after the sequence that `padding` stands for.
struct Case {
    kernel: usize,
    stride: usize,
    dilation: usize,
    groups: usize,
    padding: Value,
    zeros: (usize, usize),
}

const STEPS: usize = 7;
const CHANNELS: usize = 4;

fn cases() -> Vec<Case> {
    let case = |[kernel, stride, dilation, groups]: [usize; 4], padding, zeros| Case {
        kernel,
        stride,
        dilation,
        groups,
        padding,
        zeros,
    };
    vec![
        case([1, 1, 1, 1], json!(0), (0, 0)),
        case([3, 1, 1, 1], json!(0), (0, 0)),
        case([3, 2, 1, 1], json!(1), (1, 1)),
        case([4, 1, 1, 2], json!("same"), (1, 2)),
        case([2, 3, 1, 1], json!("same"), (0, 1)),
        case([3, 1, 2, 1], json!("causal"), (4, 0)),
        case([2, 2, 1, 1], json!("causal"), (1, 0)),
        case([3, 1, 3, 2], json!("same"), (3, 3)),
        case([2, 1, 3, 1], json!(0), (0, 0)),
        case([3, 1, 2, 1], json!(1), (1, 1)),
        case([3, 1, 6, 1], json!(6), (6, 6)),
        case([3, 2, 1, 4], json!("same"), (1, 1)),
        case([2, 1, 3, 4], json!("causal"), (3, 0)),
    ]
}

impl Case {
    /// One filter per channel if the groups are so small.
    fn filters(&self) -> usize {
        if self.groups == CHANNELS { CHANNELS } else { 6 }
    }

    fn spec(&self, bias: bool) -> Value {
        let Case { kernel, stride, dilation, groups, padding, .. } = self;
        json!({"type": "conv1d", "filters": self.filters(), "kernel": kernel, "stride": stride, "dilation": dilation,
               "groups": groups, "padding": padding, "bias": bias})
    }

    /// The output of a layer with a bias, from its definition.
    fn definition(&self, n: usize, x: &[f32], parameters: &[f32]) -> Vec<f32> {
        let (own, taps, filters) = (CHANNELS / self.groups, self.kernel, self.filters());
        let (weight, bias) = parameters.split_at(filters * own * taps);
        let padded = STEPS + self.zeros.0 + self.zeros.1;
        let outputs = (padded - self.dilation * (taps - 1) - 1) / self.stride + 1;
        let mut y = Vec::new();
        for (t, sample, filter) in (0..outputs)
            .flat_map(|t| (0..n).flat_map(move |sample| (0..filters).map(move |filter| (t, sample, filter))))
        {
            let mut sum = bias[filter];
            for (k, c) in (0..taps).flat_map(|k| (0..own).map(move |c| (k, c))) {
                let place = (t * self.stride + k * self.dilation).checked_sub(self.zeros.0);
                if let Some(step) = place.filter(|&step| step < STEPS) {
                    let channel = filter / (filters / self.groups) * own + c;
                    sum +=
                        weight[(filter * own + c) * taps + k] * x[(step * n + sample) * CHANNELS + channel];
                }
            }
            y.push(sum);
        }
        y
    }
}

/// With every algorithm: 3 samples are less than half of AVX-512's vectors, 9 fill one of AVX2's and begin another.
#[test]
fn conv1d() {
    for case in cases() {
        for batch in [1, 3, 9] {
            let mut check = Check::new(case.spec(true), sequence(STEPS, CHANNELS), batch);
            check.loss();
            assert_eq!(check.y, case.definition(batch, &check.x, &check.parameters), "{}", case.spec(true));
            check.run(0.0);
        }
        Check::new(case.spec(false), sequence(STEPS, CHANNELS), 3).run(0.0);
    }
}

/// One feature in and one filter: nothing is left to transpose.
#[test]
fn conv1d_of_single_channels() {
    for batch in [3, 17] {
        let spec = json!({"type": "conv1d", "filters": 1, "kernel": 3, "padding": "same"});
        Check::new(spec, sequence(9, 1), batch).run(0.0);
    }
}

/// In bf16, whose 8 bits hold integers up to 256 and which must round other numbers.
#[test]
fn conv1d_in_bf16() {
    for case in cases() {
        for batch in [3, 17] {
            let execution = Execution { batch: batch + 2, precision: Precision::Bf16 };
            let mut check = Check::with(case.spec(true), sequence(STEPS, CHANNELS), batch, execution);
            check.x = small_integers(check.x.len(), 4);
            check.loss();
            assert_eq!(check.y, case.definition(batch, &check.x, &check.parameters), "{}", case.spec(true));
            check.run(0.0);
        }
    }
    let outputs = [Precision::Bf16, Precision::Float32].map(|precision| {
        let execution = Execution { batch: 17, precision };
        let spec = json!({"type": "conv1d", "filters": 3, "kernel": 2});
        let mut check = Check::with(spec, sequence(STEPS, CHANNELS), 17, execution);
        check.x = super::reals(check.x.len(), 5);
        check.loss();
        check.y
    });
    assert_ne!(outputs[0], outputs[1], "operands are rounded");
}

/// Kernel, stride, padding, rounding up.
const POOLINGS: [(usize, usize, usize, bool); 6] =
    [(2, 2, 0, false), (3, 2, 1, true), (3, 2, 0, true), (3, 1, 1, false), (2, 3, 1, true), (1, 1, 0, false)];

/// Output and gradient of the input of pooling over time.
fn pooled(
    is_maximum: bool,
    (kernel, stride, padding, _): (usize, usize, usize, bool),
    step: usize,
    x: &[f32],
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
    for (at, dy) in dy.iter().enumerate() {
        let (window, place) = (at / step, at % step);
        let places = (window * stride..window * stride + kernel).filter_map(|t| t.checked_sub(padding));
        let places: Vec<usize> = places.filter(|&t| t < x.len() / step).map(|t| t * step + place).collect();
        if is_maximum {
            let wins = |value: f32, best: f32| value > best || value.is_nan() && !best.is_nan();
            let best =
                places.iter().fold(places[0], |best, &at| if wins(x[at], x[best]) { at } else { best });
            y[at] = x[best];
            dx[best] += dy;
        } else {
            let share = 1.0 / places.len() as f32;
            for place in places {
                y[at] += share * x[place];
                dx[place] += share * dy;
            }
        }
    }
    (y, dx)
}

/// With ties, NaNs and infinities, and with more numbers in a step than are computed together.
#[test]
fn pooling_equals_its_definition() {
    let number = |value: &f32| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
    let bits = |values: &[f32]| values.iter().map(number).collect::<Vec<_>>();
    for options in POOLINGS {
        let (kernel, stride, padding, ceil) = options;
        for (kind, batch, features) in ["max_pool1d", "avg_pool1d"]
            .into_iter()
            .flat_map(|kind| [(1, 1), (3, 5), (70, 31)].map(|(batch, features)| (kind, batch, features)))
        {
            let spec =
                json!({"type": kind, "kernel": kernel, "stride": stride, "padding": padding, "ceil": ceil});
            let mut check = Check::new(spec.clone(), sequence(8, features), batch);
            let special = [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, -0.0];
            let value = |&i: &usize| special.get(i % 23).copied().unwrap_or((i % 5) as f32 - 2.0);
            check.x = order(check.x.len(), 4).iter().map(value).collect();
            let (dx, _) = check.gradients(true);
            let (y, expected) = pooled(kind == "max_pool1d", options, batch * features, &check.x, &check.r);
            assert_eq!(bits(&check.y), bits(&y), "output, {spec}");
            assert_eq!(bits(&dx), bits(&expected), "gradient, {spec}");
        }
    }
}

#[test]
fn pooling() {
    for (kernel, stride, padding, ceil) in POOLINGS {
        let spec = |kind: &str| json!({"type": kind, "kernel": kernel, "stride": stride, "padding": padding, "ceil": ceil});
        Check::new(spec("max_pool1d"), sequence(8, 3), 4).run(0.0);
        // A mean of at most 3 values of at most 96 by a rounded 1/3; at most 3 windows, weighted by at most 3.
        Check::new(spec("avg_pool1d"), sequence(8, 3), 4).run(4.0 * 96.0 * 9.0 * 2f64.powi(-24));
    }
}

/// A mean of 8 is exact.
#[test]
fn means_over_time_and_last_steps() {
    for (kind, steps) in [("global_avg_pool1d", 8), ("last_step", 5), ("last_step", 1)] {
        let mut check = Check::new(json!({"type": kind}), sequence(steps, 3), 2);
        check.loss();
        let at = |place: usize| -> f32 {
            let mut of_place = (0..steps).map(|t| check.x[t * 6 + place]);
            match kind {
                "last_step" => of_place.next_back().unwrap_or_default(),
                _ => of_place.sum::<f32>() / steps as f32,
            }
        };
        assert_eq!(check.y, (0..6).map(at).collect::<Vec<_>>(), "{kind}");
        check.run(0.0);
    }
    let mut wide = Check::new(json!({"type": "global_avg_pool1d"}), sequence(2, 70), 31);
    wide.loss();
    let expected = (0..70 * 31).map(|place| (wide.x[place] + wide.x[70 * 31 + place]) / 2.0);
    assert_eq!(wide.y, expected.collect::<Vec<f32>>());
}

/// Feature by feature, as PyTorch flattens `[N, C, L]`.
#[test]
fn flatten() {
    for (steps, features, batch) in [(5, 3, 2), (1, 4, 3), (4, 1, 3), (18, 20, 3)] {
        let mut check = Check::new(json!({"type": "flatten"}), sequence(steps, features), batch);
        check.loss();
        let place = |at: usize| {
            let (sample, feature, step) = (at / (features * steps), at / steps % features, at % steps);
            (step * batch + sample) * features + feature
        };
        let expected = (0..check.x.len()).map(|at| check.x[place(at)]);
        assert_eq!(check.y, expected.collect::<Vec<_>>());
        check.run(0.0);
    }
}

/// A sequence is normalised as an image of T pixels: the same bits.
#[test]
fn batch_norm_is_that_of_images() {
    let (steps, features, batch) = (5, 3, 4);
    for ghost_batch in [4, 2] {
        let spec = json!({"type": "batch_norm", "ghost_batch": ghost_batch, "relu": true});
        let mut rows = Check::new(spec.clone(), sequence(steps, features), batch);
        let image = Shape::Image { channels: features, height: 1, width: steps };
        let mut planes = Check::new(spec, image, batch);
        // The place in an image of a place in a sequence.
        let turned = |values: &[f32]| -> Vec<f32> {
            let columns = steps * batch;
            (0..values.len()).map(|at| values[at % columns * features + at / columns]).collect()
        };
        (planes.x, planes.r) = (turned(&rows.x), turned(&rows.r));
        let ((dx, gradients), (image_dx, expected)) = (rows.gradients(true), planes.gradients(true));
        assert_eq!((turned(&rows.y), turned(&dx)), (planes.y, image_dx));
        assert_eq!((gradients, &rows.statistics), (expected, &planes.statistics));
        assert!(rows.y.iter().any(|&y| y > 0.0));
    }
}
