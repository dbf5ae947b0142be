//! Fully connected layers with bf16 operands: exact gradients for operands that bf16 represents, and otherwise
//! the gradients of the rounded operands.

use serde_json::{Value, json};

use super::{Check, assert_same_sums, reals, small_integers};
use crate::{Execution, Shape};
use ternflock_tensor::Precision;
use ternflock_tensor::bf16::round_in_place;

fn check(spec: &Value, input: Shape, batch: usize, precision: Precision) -> Check {
    Check::with(spec.clone(), input, batch, Execution { batch: batch + 2, precision })
}

/// Of vectors, and of sequences, whose steps are rows; with all inputs, and with some.
fn cases() -> [(Value, Shape, usize); 4] {
    [
        (json!({"type": "linear", "units": 5}), Shape::Vector { features: 7 }, 4),
        (json!({"type": "linear", "units": 40}), Shape::Vector { features: 33 }, 17),
        (json!({"type": "linear", "units": 5}), Shape::Sequence { steps: 3, features: 4 }, 2),
        (json!({"type": "linear", "units": 3, "columns": [0, 2, 3]}), Shape::Vector { features: 6 }, 3),
    ]
}

#[test]
fn gradients_of_integers_are_exact() {
    for (spec, input, batch) in cases() {
        let mut check = check(&spec, input, batch, Precision::Bf16);
        check.x = small_integers(check.x.len(), 4);
        check.run(0.0);
    }
}

/// A product is defined as that of rounded operands, so the bits are equal, unless the order of the sums differs. The bias
/// is not an operand.
#[test]
fn gradients_of_reals_are_those_of_rounded_operands() {
    super::instructions::use_asked();
    // BLAS computes float32 products in an order of its own.
    if ternflock_tensor::blas_computes() {
        return;
    }
    for (spec, input, batch) in cases() {
        let [mut bf16, mut float32, mut rounded] = [Precision::Bf16, Precision::Float32, Precision::Float32]
            .map(|precision| check(&spec, input, batch, precision));
        for check in [&mut bf16, &mut float32, &mut rounded] {
            check.x = reals(check.x.len(), 5);
            check.r = reals(check.r.len(), 6);
            check.parameters = reals(check.parameters.len(), 7);
        }
        let weights = rounded.places[0].range.clone();
        round_in_place(&mut rounded.parameters[weights.clone()]);
        round_in_place(&mut rounded.x);
        round_in_place(&mut rounded.r);
        let ((dx, gradients), (expected_dx, expected)) = (bf16.gradients(true), rounded.gradients(true));
        // No case has more features, units or rows.
        let same = |found: &[f32], expected: &[f32], what| {
            assert_same_sums(found, expected, 41, &format!("{what}, {spec}"));
        };
        same(&bf16.y, &rounded.y, "forward");
        same(&dx, &expected_dx, "data gradient");
        same(&gradients[weights.clone()], &expected[weights.clone()], "weight gradient");
        let (_, unrounded) = float32.gradients(true);
        assert_eq!(gradients[weights.end..], unrounded[weights.end..], "bias gradient, {spec}");
        assert_ne!(gradients, unrounded, "operands are rounded");
    }
}
