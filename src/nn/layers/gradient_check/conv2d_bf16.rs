//! Convolutions with bf16 operands: exact gradients for operands that bf16 represents, and otherwise the
//! gradients of the rounded operands.

use serde_json::{Value, json};

use super::{Check, IMAGE, assert_same_sums, reals, small_integers};
use crate::{Execution, Shape};
use ternflock_tensor::Precision;
use ternflock_tensor::bf16::round_in_place;

fn check(spec: &Value, image: Shape, batch: usize, precision: Precision) -> Check {
    Check::with(spec.clone(), image, batch, Execution { batch: batch + 2, precision })
}

const CASES: [(usize, usize, usize, usize); 5] =
    [(1, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 1, 2), (3, 1, 0, 2)];

fn spec((kernel, stride, padding, groups): (usize, usize, usize, usize)) -> Value {
    json!({"type": "conv2d", "filters": 6, "kernel": kernel, "stride": stride, "padding": padding,
           "groups": groups})
}

/// bf16 has 8 significant bits: integers up to 256 and their products are exact. 3 samples are computed by
/// im2col on rounded copies, 17 by the kernels for bf16.
#[test]
fn gradients_of_integers_are_exact() {
    for case in CASES {
        for batch in [3, 17] {
            let mut check = check(&spec(case), IMAGE, batch, Precision::Bf16);
            check.x = small_integers(check.x.len(), 4);
            check.run(0.0);
        }
    }
    let columns = json!({"type": "conv2d", "filters": 6, "kernel": 2, "columns": [0, 3, 7]});
    for batch in [3, 17] {
        let mut check = check(&columns, IMAGE, batch, Precision::Bf16);
        check.x = small_integers(check.x.len(), 4);
        check.run(0.0);
    }
}

/// Everything except the gradient of the bias equals that of rounded operands with float32 arithmetic, to the order of
/// the sums; images
/// this small are one work item of the weight gradient with either precision, so that its order is the same. The
/// bias and its gradient are not rounded: their sum of n terms may differ by n units of 2^-24 of the sum of
/// magnitudes, at most 4 each, because its order differs.
#[test]
fn gradients_of_reals_are_those_of_rounded_operands() {
    for case in CASES {
        for batch in [3, 17, 40] {
            let [mut bf16, mut float32, mut rounded] =
                [Precision::Bf16, Precision::Float32, Precision::Float32]
                    .map(|precision| check(&spec(case), IMAGE, batch, precision));
            for check in [&mut bf16, &mut float32, &mut rounded] {
                check.x = reals(check.x.len(), 5);
                check.r = reals(check.r.len(), 6);
                check.parameters = reals(check.parameters.len(), 7);
            }
            let weights = rounded.parameters.len() - 6;
            for operand in [&mut rounded.x, &mut rounded.r, &mut rounded.parameters] {
                let end = if operand.len() == weights + 6 { weights } else { operand.len() };
                round_in_place(&mut operand[..end]);
            }
            let ((dx, gradients), (expected_dx, expected)) = (bf16.gradients(true), rounded.gradients(true));
            // A filter has at most as many weights as there are terms in a sum of y; dx has fewer than 6 x 9.
            let (positions, what) = (bf16.r.len() / 6, format!("{case:?}, {batch} samples"));
            assert_same_sums(&bf16.y, &rounded.y, weights / 6 + 1, &format!("forward, {what}"));
            assert_same_sums(&dx, &expected_dx, 6 * 9, &format!("data gradient, {what}"));
            let [found, same] = [&gradients, &expected].map(|all| &all[..weights]);
            assert_same_sums(found, same, positions, &format!("weight gradient, {what}"));
            let terms = positions as f32;
            let tolerance = terms * terms * 4.0 / 2f32.powi(24);
            let (_, unrounded) = float32.gradients(true);
            for (bias, expected) in gradients[weights..].iter().zip(&unrounded[weights..]) {
                assert!((bias - expected).abs() <= tolerance, "bias gradient: {bias} instead of {expected}");
            }
            assert_ne!(gradients, unrounded, "operands are rounded");
        }
    }
}
