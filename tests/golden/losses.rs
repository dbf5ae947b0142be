//! Losses with weights, smoothing and other options.

use serde_json::Value;
use ternflock::nn::loss::{AbsoluteError, BinaryCrossEntropy, CrossEntropy, Huber, Loss, SquaredError};
use ternflock::nn::targets::Targets;

use crate::{INPUT, ROUNDING, assert_close, floats, sizes, values};

const TARGET: u32 = 5;

fn loss(case: &Value) -> Box<dyn Loss> {
    let list = |key: &str| -> Vec<f32> {
        case.get(key)
            .map_or(Vec::new(), |list| floats(list).into_iter().map(|number| number as f32).collect())
    };
    let number = |key: &str| case.get(key).map_or(0.0, |number| number.as_f64().unwrap() as f32);
    match case["loss"].as_str().unwrap() {
        "cross-entropy" => Box::new(CrossEntropy::new(list("weights"), number("smoothing"))),
        "binary-cross-entropy" => Box::new(BinaryCrossEntropy::new(list("weights"))),
        "mse" => Box::new(SquaredError),
        "mae" => Box::new(AbsoluteError),
        "huber" => Box::new(Huber::new(number("delta"))),
        other => panic!("no loss {other}"),
    }
}

/// Weights are at most 4. The difference of two outputs within +-scale is off by a rounding of 2 scale at most, and an
/// exponential by four roundings more; a squared error within 2 scale by twice that times 2 scale, of the mean of which
/// the loss consists.
#[test]
fn losses_are_what_pytorch_says() {
    crate::instructions::use_asked();
    let golden: Value = serde_json::from_str(include_str!("losses.json")).unwrap();
    let (shape, labels) = (sizes(&golden["shape"]), sizes(&golden["labels"]));
    let (n, outputs) = (shape[0], shape[1]);
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 18);
    for case in cases {
        let (loss, scale) = (loss(case), case["scale"].as_f64().unwrap());
        let is_entropy = loss.name() == "cross-entropy";
        let numbers: Vec<f32> = values(INPUT, n * outputs).iter().map(|value| scale as f32 * value).collect();
        let drawn = values(TARGET, n * outputs);
        let targets = match loss.name() {
            "cross-entropy" => Targets::of_labels(labels.clone()),
            "binary-cross-entropy" => {
                let values = drawn.iter().map(|&value| f32::from(u8::from(value > 0.0))).collect();
                Targets { values, width: outputs, ..Targets::default() }
            }
            _ => Targets { values: drawn, width: outputs, ..Targets::default() },
        };
        let mut gradient = vec![0.0; numbers.len()];
        let tally = loss.compute(&numbers, &targets, 1.0 / n as f32, Some(&mut gradient));
        let relative = (2.0 * scale + outputs as f64 + 8.0) * ROUNDING;
        let (slope, size) = if loss.name() == "mse" { (2.0, 4.0 * scale) } else { (4.0, 4.0) };
        let share = n as f64 * if is_entropy { 1.0 } else { outputs as f64 };
        let what = format!("{loss:?} within {scale}");
        assert_close(&what, &gradient, &floats(&case["gradient"]), slope * relative / share);
        let (found, expected) = (tally.mean_loss(), case["value"].as_f64().unwrap());
        assert!((found - expected).abs() <= size * relative, "{what}: {found}, PyTorch says {expected}");
    }
}
