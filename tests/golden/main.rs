//! Compares layers, LeNet and optimizers with PyTorch's values, which `make_golden.py` computed in double
//! precision and wrote to the JSON files next to it. So the tests measure only our own error, that of float32
//! arithmetic.

mod images;
mod instructions;
mod language;
mod layers;
mod lenet;
mod loss;
mod optimizers;
mod recurrent;
mod resnet;

use serde_json::Value;

// The seeds of [`values`]; the projection makes a number of a tensor.
const INPUT: u32 = 1;
const WEIGHT: u32 = 2;
const BIAS: u32 = 3;
const PROJECTION: u32 = 4;

/// The relative error of one rounding to float32.
const ROUNDING: f64 = 1.0 / (1u64 << 24) as f64;

/// `count` numbers in [-1, 1) of 24 bits: a hash (lowbias32) of the seed and of each element's index, which
/// `make_golden.py` computes too.
fn values(seed: u32, count: usize) -> Vec<f32> {
    let hash = |index: u32| {
        let mut x = index.wrapping_add(seed.wrapping_mul(0x9E37_79B9));
        for (shift, factor) in [(16, 0x7FEB_352D), (15, 0x846C_A68B), (16, 1)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        x
    };
    (0..count as u32).map(|index| (f64::from(hash(index) >> 8) / f64::from(1 << 23) - 1.0) as f32).collect()
}

/// A JSON list of numbers.
fn numbers<T>(list: &Value, number: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    let list = list.as_array().unwrap_or_else(|| panic!("not a list: {list}"));
    list.iter().map(|value| number(value).unwrap_or_else(|| panic!("not such a number: {value}"))).collect()
}

fn floats(list: &Value) -> Vec<f64> {
    numbers(list, Value::as_f64)
}

fn sizes(list: &Value) -> Vec<usize> {
    numbers(list, |value| value.as_u64().map(|size| size as usize))
}

/// Checks that each of `found` is within `tolerance` of `expected`.
#[track_caller]
fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(
            error <= tolerance,
            "{what}, element {i}: {found}, PyTorch says {expected}: {error} > {tolerance}"
        );
    }
}
