//! Layer norm: outputs and gradients against its definition in f64, and properties that this does not cover.

use serde_json::json;

use super::smooth::check;
use super::{Check, small_integers};
use crate::layers::LayerNorm;
use crate::{LayerSpec, Shape};

/// Layer norm with eps 0.01. Images `[U, P, N]` are columns of U; all others are rows.
fn normalised(input: Shape, x: &[f64], parameters: &[f64]) -> Vec<f64> {
    let units = input.units();
    let count = x.len() / units;
    let place = |group: usize, unit: usize| match input {
        Shape::Image { .. } => unit * count + group,
        _ => group * units + unit,
    };
    let mut y = vec![0.0; x.len()];
    for group in 0..count {
        let values: Vec<f64> = (0..units).map(|unit| x[place(group, unit)]).collect();
        let mean = values.iter().sum::<f64>() / units as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / units as f64;
        for (unit, x) in values.iter().enumerate() {
            let (weight, bias) = match parameters.is_empty() {
                true => (1.0, 0.0),
                false => (parameters[unit], parameters[units + unit]),
            };
            y[place(group, unit)] = (x - mean) / (variance + 0.01).sqrt() * weight + bias;
        }
    }
    y
}

/// Widths around those of the vectors and of the lanes of sums; more rows, and more pixels, than one block
/// has.
#[test]
fn any_size_is_its_definition() {
    let image = |channels, height, width| Shape::Image { channels, height, width };
    let vector = |features| Shape::Vector { features };
    let mut cases = vec![
        (image(2, 1, 1), 1),
        (image(5, 3, 5), 3),
        (image(33, 2, 1), 2),
        (image(2, 19, 9), 3),
        (vector(3), 70),
        (vector(65), 32),
        (Shape::Sequence { steps: 3, features: 5 }, 4),
        (Shape::Sequence { steps: 11, features: 17 }, 3),
    ];
    cases.extend([2, 15, 16, 31, 32, 33, 127, 200].map(|features| (vector(features), 2)));
    for (input, n) in cases {
        for affine in [true, false] {
            let spec = json!({"type": "layer_norm", "eps": 0.01, "affine": affine});
            // x' and its weights are below 5, 1 / deviation at most 10.
            let terms = input.units().max(input.elements() / input.units() * n);
            check(&spec, (input, n), |x, parameters| normalised(input, x, parameters), (terms, 50.0));
        }
    }
}

/// More elements than a sum adds in f32. Three quarters of the elements are 1 and the others -3: the mean is
/// 0 and the variance 3, exactly.
#[test]
fn long_rows() {
    let features = 10_000;
    let spec = json!({"type": "layer_norm", "eps": 1.0, "affine": false});
    let mut check = Check::new(spec, Shape::Vector { features }, 1);
    check.x = (0..features).map(|i| if i % 4 == 3 { -3.0 } else { 1.0 }).collect();
    check.gradients(true);
    assert!(check.y.iter().zip(&check.x).all(|(y, x)| *y == x / 2.0));
}

/// A deviation of about 1 with a mean of 2^20, where single precision has steps of an eighth: the result is as
/// accurate as without a mean, except for the mean itself. A sum of squares would have lost the deviation.
#[test]
fn a_large_mean_costs_nothing() {
    for input in [Shape::Vector { features: 48 }, Shape::Image { channels: 48, height: 3, width: 2 }] {
        let run = |shift: f32| {
            let mut check = Check::new(json!({"type": "layer_norm", "affine": false}), input, 2);
            check.x = small_integers(check.x.len(), 9).iter().map(|x| x / 2.0 + shift).collect();
            check.gradients(true);
            check.y
        };
        for (plain, shifted) in run(0.0).iter().zip(run((1 << 20) as f32)) {
            // The mean is off by at most a sixteenth, and the deviation is about 1.
            assert!((plain - shifted).abs() < 0.0625 * 1.5, "{plain} became {shifted}");
        }
    }
}

#[test]
fn what_cannot_be_normalised_is_refused() {
    let refused = |eps: f64, shape: Shape| {
        LayerSpec::LayerNorm(LayerNorm { eps, affine: true }).describe().output(&[shape]).unwrap_err()
    };
    let two = Shape::Vector { features: 2 };
    for eps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(refused(eps, two).contains("eps"), "{eps}");
    }
    assert!(refused(1e-5, Shape::Vector { features: 1 }).contains("two or more"));
    assert!(refused(1e-5, Shape::Tokens { steps: 3, vocabulary: 7 }).contains("takes numbers"));
}
