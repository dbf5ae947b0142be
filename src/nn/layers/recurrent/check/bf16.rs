//! Recurrent layers with bf16 operands.

use serde_json::{Value, json};
use ternflock_tensor::Precision;

use super::super::reference::{self, Dims, Formula};
use super::{Check, SIZES, numbers};

/// Rounding to bf16 changes an operand by up to 2^-8 of its value, and a product of two by about 2^-7; there
/// are as many terms, of magnitude 1 at most, as in float32.
fn tolerance(dims: &Dims) -> f64 {
    (dims.steps * dims.batch + dims.features + dims.hidden) as f64 * 2f64.powi(-7)
}

/// Near the formula, and not the results of float32.
#[test]
fn results_are_those_of_the_formula_to_8_bits() {
    let kinds: [(Value, Formula); 5] = [
        (json!({"type": "lstm", "forget_bias": 0.5}), reference::lstm),
        (json!({"type": "gru"}), reference::gru),
        (json!({"type": "rnn"}), reference::rnn_tanh),
        (json!({"type": "rhn", "depth": 2, "transform_bias": -1.0}), reference::rhn),
        (json!({"type": "lstm", "forget_bias": 0.5, "recurrent_rank": 4}), reference::lstm),
    ];
    for (mut spec, formula) in kinds {
        for (steps, batch, features, hidden) in SIZES {
            spec["hidden"] = json!(hidden);
            let dims = || Dims { steps, batch, features, hidden };
            let mut bf16 = Check::with(&spec, formula, dims(), Precision::Bf16);
            let mut float32 = Check::new(&spec, formula, dims());
            let [first, second] = [&mut bf16, &mut float32].map(|check| {
                let mut y = vec![f32::NAN; check.r.len()];
                check.forward(&mut y);
                let (dx, gradients) = check.backward(&y, true);
                [y, dx, gradients]
            });
            assert!(first.iter().zip(&second).all(|(bf16, float32)| bf16 != float32), "{spec}");
            Check::with(&spec, formula, dims(), Precision::Bf16).within(tolerance(&dims())).run();
        }
    }
}

impl Check {
    fn within(self, tolerance: f64) -> Check {
        Check { tolerance, ..self }
    }
}

/// Rectifiers keep integers, and those up to 256 are exact in bf16: every product must equal that of float32,
/// whichever operand it reads.
#[test]
fn integers_are_exact() {
    let (steps, batch, features, hidden) = (2, 3, 5, 9);
    for rank in [None, Some(4)] {
        let mut spec = json!({"type": "rnn", "hidden": hidden, "nonlinearity": "relu"});
        if let Some(rank) = rank {
            spec["recurrent_rank"] = json!(rank);
        }
        let [bf16, float32] = [Precision::Bf16, Precision::Float32].map(|precision| {
            let dims = Dims { steps, batch, features, hidden };
            let mut check = Check::with(&spec, reference::rnn_relu, dims, precision);
            for values in [&mut check.parameters, &mut check.x, &mut check.r] {
                let signs: Vec<f32> =
                    numbers(values.len(), 7).iter().map(|value| (1.5 * value).round()).collect();
                values.copy_from_slice(&signs);
            }
            let mut y = vec![f32::NAN; check.r.len()];
            check.forward(&mut y);
            let (dx, gradients) = check.backward(&y, true);
            [y, dx, gradients]
        });
        assert_eq!(bf16, float32);
        for values in &float32 {
            let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            assert!(largest > 1.0 && largest <= 256.0, "{largest}");
        }
    }
}
