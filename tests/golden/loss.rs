//! Softmax cross-entropy, the mean over samples.

use serde_json::Value;
use ternflock::nn::softmax_cross_entropy;

use crate::{INPUT, ROUNDING, assert_close, floats, sizes, values};

/// The difference of two logits within +-scale is off by a rounding of 2 scale at most, so its exponential by that
/// part of itself; the sum over classes, the quotient and the weight add a few roundings more.
#[test]
fn the_loss_is_what_pytorch_says() {
    crate::instructions::use_asked();
    let golden: Value = serde_json::from_str(include_str!("layers.json")).unwrap();
    let cases = golden["losses"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let (scale, shape, labels) =
            (case["scale"].as_f64().unwrap(), sizes(&case["shape"]), sizes(&case["labels"]));
        let (n, classes) = (shape[0], shape[1]);
        let logits: Vec<f32> = values(INPUT, n * classes).iter().map(|value| scale as f32 * value).collect();
        let mut gradient = vec![0.0; logits.len()];
        let tally = softmax_cross_entropy(&logits, &labels, 1.0 / n as f32, Some(&mut gradient));
        let tolerance = (2.0 * scale + classes as f64 + 3.0) * ROUNDING;
        let what = format!("logits within {scale}");
        assert_close(&what, &gradient, &floats(&case["gradient"]), tolerance / n as f64);
        let (loss, expected) = (tally.mean_loss(), case["loss"].as_f64().unwrap());
        assert!((loss - expected).abs() <= tolerance, "{what}: {loss}, PyTorch says {expected}");
    }
}
