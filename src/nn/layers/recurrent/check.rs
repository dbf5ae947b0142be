//! Recurrent layers against their formulas in double precision: outputs, recurrent states, and gradients,
//! which are compared with central differences of the formulas. These differ from the exact gradients by less
//! than 1e-8; the rest is the error of float32.

mod bf16;

use serde_json::{Value, json};

use super::reference::{self, Dims, Formula};
use crate::layer::{BackwardReads, Draw, Forward, Inputs, Layer, Mode, Place, Tensors, TensorsMut};
use crate::layers::gradient_check::{backward, instructions, side_by_side};
use crate::{Execution, LayerSpec, Shape};
use ternflock_base::rng::{Purpose, Stream};
use ternflock_tensor::{Buffers, Precision};

/// `count` numbers in [-1, 1).
fn numbers(count: usize, subject: u32) -> Vec<f32> {
    let stream = Stream { seed: 5, purpose: Purpose::Test, step: 0, subject, tensor: 0 };
    (0..count).map(|i| (stream.word(i as u64) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

struct Check {
    dims: Dims,
    formula: Formula,
    /// The rank of the recurrent weight, if it is a product.
    rank: Option<usize>,
    /// Whether the layer reads sequences backwards.
    reverse: bool,
    layer: Box<dyn Layer>,
    reads: BackwardReads,
    places: Vec<Place>,
    parameters: Vec<f32>,
    x: Vec<f32>,
    r: Vec<f32>,
    /// The error of float32 in sums of this many terms of magnitude 1 at most.
    tolerance: f64,
}

impl Check {
    fn new(spec: &Value, formula: Formula, dims: Dims) -> Check {
        Check::with(spec, formula, dims, Precision::Float32)
    }

    /// Built for products in `precision`.
    fn with(spec: &Value, formula: Formula, dims: Dims, precision: Precision) -> Check {
        instructions::use_asked();
        let rank = spec["recurrent_rank"].as_u64();
        let reverse = spec["reverse"].as_bool().unwrap_or(false);
        let spec: LayerSpec = serde_json::from_value(spec.clone()).unwrap();
        let input = Shape::Sequence { steps: dims.steps, features: dims.features };
        let describe = spec.describe();
        assert_eq!(
            describe.output(&[input]).unwrap(),
            Shape::Sequence { steps: dims.steps, features: dims.hidden }
        );
        let places = side_by_side(&describe.parameters(&[input]).unwrap());
        let rows = dims.steps * dims.batch;
        // Weights of 1 / sqrt(fan_in) or less, as in practice, so that errors do not grow from step to step.
        let scale = 1.0 / ((dims.features + dims.hidden) as f32).sqrt();
        let parameters = numbers(places.last().unwrap().range.end, 1).into_iter().map(|value| scale * value);
        Check {
            dims,
            formula,
            rank: rank.map(|rank| rank as usize),
            reverse,
            reads: describe.backward_reads(),
            // Capacity for more than the batch, as in a smaller last batch.
            layer: describe
                .build(&[input], Execution { batch: dims.batch + 2, precision }, &mut Buffers::allocating())
                .unwrap(),
            parameters: parameters.collect(),
            places,
            x: numbers(rows * dims.features, 2),
            r: numbers(rows * dims.hidden, 3),
            tolerance: 4.0 * (rows + dims.features + dims.hidden) as f64 * 2f64.powi(-22),
        }
    }

    /// The tensors of the formula, from the present parameters.
    fn tensors(&self) -> Vec<Vec<f64>> {
        self.places.iter().map(|place| double(&self.parameters[place.range.clone()])).collect()
    }

    /// The output for these tensors; `states` become those after the last step. Backwards, they are not used, and the
    /// formula sees the steps in the order in which they are read.
    fn expected(&self, tensors: &[Vec<f64>], x: &[f64], states: &mut [Vec<f64>]) -> Vec<f64> {
        if !self.reverse {
            return self.in_order(tensors, x, states);
        }
        let turned = |values: &[f64]| -> Vec<f64> {
            values.chunks_exact(values.len() / self.dims.steps).rev().flatten().copied().collect()
        };
        // No formula has more than two states.
        let mut zeros = vec![vec![0.0; self.dims.batch * self.dims.hidden]; 2];
        turned(&self.in_order(tensors, &turned(x), &mut zeros))
    }

    fn in_order(&self, tensors: &[Vec<f64>], x: &[f64], states: &mut [Vec<f64>]) -> Vec<f64> {
        match self.rank {
            None => (self.formula)(&self.dims, tensors, x, states),
            Some(rank) => {
                let whole = reference::multiplied_out(&self.dims, rank, tensors);
                (self.formula)(&self.dims, &whole, x, states)
            }
        }
    }

    /// The recurrent state of the layer, cut to the batch.
    fn states(&mut self) -> Vec<Vec<f64>> {
        let rows = self.dims.batch * self.dims.hidden;
        self.layer.recurrent_state().iter().map(|state| double(&state.values[..rows])).collect()
    }

    fn forward(&mut self, y: &mut [f32]) {
        self.layer.forward(Forward {
            batch: self.dims.batch,
            mode: Mode::Train(Draw::default()),
            layer: 0,
            parameters: Tensors { flat: &self.parameters, places: &self.places },
            statistics: TensorsMut { flat: &mut [], places: &[], shared: &[] },
            x: Inputs { buffers: std::slice::from_ref(&self.x), sources: &[0], elements: &[self.x.len()] },
            y,
        });
    }

    /// The gradients of the input and of the parameters; NaN for the input if its gradient is not wanted.
    fn backward(&mut self, y: &[f32], wanted: bool) -> (Vec<f32>, Vec<f32>) {
        let parameters = Tensors { flat: &self.parameters, places: &self.places };
        let x = std::array::from_ref(&self.x);
        backward((&mut *self.layer, self.reads), self.dims.batch, parameters, x, [y, &self.r], wanted)
    }

    #[track_caller]
    fn hold(&self, what: &str, found: &[f32], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            let error = (f64::from(found) - expected).abs();
            assert!(
                error <= self.tolerance,
                "{what} {i}: {found}, not {expected}: {error} > {}",
                self.tolerance
            );
        }
    }

    /// The gradients of sum(r y) with respect to `x` and the parameters, starting from `states`.
    fn differences(&self, states: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
        let r = double(&self.r);
        let loss = |tensors: &[Vec<f64>], x: &[f64]| -> f64 {
            let y = self.expected(tensors, x, &mut states.to_vec());
            y.iter().zip(&r).map(|(y, r)| y * r).sum()
        };
        let (mut tensors, mut x) = (self.tensors(), double(&self.x));
        let step = 1e-5;
        let input = (0..x.len()).map(|i| {
            let mut moved = |by: f64| {
                x[i] += by;
                let loss = loss(&tensors, &x);
                x[i] -= by;
                loss
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        });
        let input = input.collect();
        let places =
            (0..tensors.len()).flat_map(|k| (0..tensors[k].len()).map(move |i| (k, i)).collect::<Vec<_>>());
        let places: Vec<(usize, usize)> = places.collect();
        let parameters = places.into_iter().map(|(k, i)| {
            let mut moved = |by: f64| {
                tensors[k][i] += by;
                let loss = loss(&tensors, &x);
                tensors[k][i] -= by;
                loss
            };
            (moved(step) - moved(-step)) / (2.0 * step)
        });
        let parameters = parameters.collect();
        (input, parameters)
    }

    /// Three batches in a row, the first from states that are not zero: each continues where the previous one
    /// ended, and its gradients stop where it began.
    fn run(mut self) {
        for (i, state) in self.layer.recurrent_state().into_iter().enumerate() {
            state.values.copy_from_slice(&numbers(state.values.len(), 10 + i as u32));
        }
        let mut y = vec![f32::NAN; self.r.len()];
        for batch in 0..3 {
            let before = self.states();
            let mut after = before.clone();
            let expected = self.expected(&self.tensors(), &double(&self.x), &mut after);
            self.forward(&mut y);
            self.hold(&format!("batch {batch}, output"), &y, &expected);
            for (found, expected) in self.states().iter().zip(&after) {
                let found: Vec<f32> = found.iter().map(|&value| value as f32).collect();
                self.hold(&format!("batch {batch}, state"), &found, expected);
            }
            let (dx, gradients) = self.backward(&y, batch != 1);
            let (input, parameters) = self.differences(&before);
            if batch != 1 {
                self.hold(&format!("batch {batch}, input's gradient"), &dx, &input);
            }
            self.hold(&format!("batch {batch}, parameters' gradient"), &gradients, &parameters);
            assert!(gradients.iter().any(|&gradient| gradient.abs() > 1e-2), "next to nothing is checked");
            self.x = numbers(self.x.len(), 20 + batch);
        }
    }
}

/// (T, N, D, H): ones; odd numbers; more hidden units than a vector register holds, with a remainder.
const SIZES: [(usize, usize, usize, usize); 5] =
    [(1, 1, 1, 1), (1, 3, 2, 5), (4, 1, 5, 3), (5, 3, 7, 9), (2, 2, 3, 19)];

fn run(spec: impl Fn(usize) -> Value, formula: Formula) {
    for (steps, batch, features, hidden) in SIZES {
        Check::new(&spec(hidden), formula, Dims { steps, batch, features, hidden }).run();
    }
}

#[test]
fn lstm() {
    run(|hidden| json!({"type": "lstm", "hidden": hidden, "forget_bias": 0.5}), reference::lstm);
}

#[test]
fn rnn() {
    run(|hidden| json!({"type": "rnn", "hidden": hidden}), reference::rnn_tanh);
}

/// No sum here is closer to the kink at zero than the step of the differences, which would show it.
#[test]
fn rnn_with_rectifiers() {
    run(|hidden| json!({"type": "rnn", "hidden": hidden, "nonlinearity": "relu"}), reference::rnn_relu);
}

#[test]
fn gru() {
    run(|hidden| json!({"type": "gru", "hidden": hidden}), reference::gru);
}

#[test]
fn rhn() {
    for depth in [1, 3] {
        let spec = |hidden| json!({"type": "rhn", "hidden": hidden, "depth": depth, "transform_bias": -1.0});
        run(spec, reference::rhn);
    }
}

/// Recurrent weights as products, of rank 1, of about half of the full rank, and of more than that.
#[test]
fn recurrent_weights_of_low_rank() {
    let formulas: [(&str, Formula); 4] = [
        ("lstm", reference::lstm),
        ("gru", reference::gru),
        ("rnn", reference::rnn_tanh),
        ("rhn", reference::rhn),
    ];
    for (kind, formula) in formulas {
        for rank_of in [|_| 1, |hidden: usize| hidden.div_ceil(2), |hidden| hidden + 1] {
            run(
                |hidden| {
                    let mut spec = json!({"type": kind, "hidden": hidden, "recurrent_rank": rank_of(hidden)});
                    match kind {
                        "lstm" => spec["forget_bias"] = json!(0.5),
                        "rhn" => (spec["depth"], spec["transform_bias"]) = (json!(3), json!(-1.0)),
                        _ => (),
                    }
                    spec
                },
                formula,
            );
        }
    }
}

/// The states start at zero in each batch, and none is carried.
#[test]
fn backwards() {
    let formulas: [(&str, Formula); 4] = [
        ("lstm", reference::lstm),
        ("gru", reference::gru),
        ("rnn", reference::rnn_tanh),
        ("rhn", reference::rhn),
    ];
    for (kind, formula) in formulas {
        for rank in [None, Some(2_usize)] {
            let spec = |hidden| {
                let mut spec = json!({"type": kind, "hidden": hidden, "reverse": true});
                if let Some(rank) = rank {
                    spec["recurrent_rank"] = json!(rank);
                }
                match kind {
                    "lstm" => spec["forget_bias"] = json!(0.5),
                    "rhn" => (spec["depth"], spec["transform_bias"]) = (json!(2), json!(-1.0)),
                    _ => (),
                }
                spec
            };
            run(spec, formula);
            let dims = Dims { steps: 3, batch: 2, features: 3, hidden: 4 };
            assert!(Check::new(&spec(4), formula, dims).layer.recurrent_state().is_empty());
        }
    }
}

/// Each message gives both shapes.
#[test]
fn what_does_not_fit_is_refused() {
    let refuse = |spec: &Value, input: Shape| {
        let spec: LayerSpec = serde_json::from_value(spec.clone()).unwrap();
        spec.describe().output(&[input]).unwrap_err()
    };
    let sequence = Shape::Sequence { steps: 2, features: 3 };
    for kind in ["lstm", "rnn", "gru", "rhn"] {
        let spec = |hidden: usize| match kind {
            "rhn" => json!({"type": kind, "hidden": hidden, "depth": 2}),
            _ => json!({"type": kind, "hidden": hidden}),
        };
        let message = refuse(&spec(4), Shape::Vector { features: 3 });
        assert!(message.contains("takes sequences of vectors, got vectors of 3"), "{message}");
        let message = refuse(&spec(4), Shape::Tokens { steps: 2, vocabulary: 9 });
        assert!(message.contains("got tokens, 2 of 9; put an `embedding`"), "{message}");
        assert!(refuse(&spec(0), sequence).contains("at least 1"));
        assert!(refuse(&spec(1 << 30), sequence).contains("2^40"));
        let mut flat = spec(4);
        flat["recurrent_rank"] = json!(0);
        assert!(refuse(&flat, sequence).contains("recurrent_rank must be at least 1"));
    }
}
