//! Activations: outputs and gradients against definitions in f64, and to the last bit against the same
//! function of one element alone, for any size.

use serde_json::{Value, json};
use ternflock_tensor::{normal, sigmoid, tanh};

use super::Check;
use super::smooth::check;
use crate::Shape;

/// Φ(x), by its Taylor series (Abramowitz and Stegun, 26.2.10).
fn probability(x: f64) -> f64 {
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let mut term = x;
    let terms = (1..100).map(|k| {
        term *= x * x / f64::from(2 * k + 1);
        term
    });
    0.5 + density * (x + terms.sum::<f64>())
}

/// tanh of the approximation of GELU.
fn cubic(x: f64) -> f64 {
    ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh()
}

/// The table of a layer without a kink, and its definition.
type Defined = (&'static str, fn(f64) -> f64);

const SMOOTH: [Defined; 4] = [
    (r#"{"type": "tanh"}"#, f64::tanh),
    (r#"{"type": "sigmoid"}"#, |x| 1.0 / (1.0 + (-x).exp())),
    (r#"{"type": "gelu"}"#, |x| x * probability(x)),
    (r#"{"type": "gelu", "approximate": "tanh"}"#, |x| x * (1.0 + cubic(x)) / 2.0),
];

/// Derivatives are at most 1.13.
#[test]
fn functions_are_their_definitions() {
    for (table, definition) in SMOOTH {
        let spec: Value = serde_json::from_str(table).unwrap();
        for (input, n) in [
            (Shape::Image { channels: 2, height: 3, width: 5 }, 3),
            (Shape::Vector { features: 37 }, 2),
            (Shape::Sequence { steps: 3, features: 5 }, 4),
        ] {
            check(&spec, (input, n), |x, _| x.iter().map(|&x| definition(x)).collect(), (1, 1.13));
        }
    }
}

/// The table of a layer, with y and dx for one x and dy.
type Alone = (&'static str, fn(f32, f32) -> (f32, f32));

const ALONE: [Alone; 5] = [
    (r#"{"type": "tanh"}"#, |x, dy| {
        let y = tanh(x);
        (y, dy * (1.0 - y * y))
    }),
    (r#"{"type": "sigmoid"}"#, |x, dy| {
        let y = sigmoid(x);
        (y, dy * (y * (1.0 - y)))
    }),
    (r#"{"type": "gelu"}"#, |x, dy| {
        let (probability, density) = normal(x);
        (x * probability, dy * (probability + x * density))
    }),
    (r#"{"type": "leaky_relu", "slope": 0.25}"#, |x, dy| if x > 0.0 { (x, dy) } else { (x / 4.0, dy / 4.0) }),
    (r#"{"type": "relu"}"#, |x, dy| if x > 0.0 { (x, dy) } else { (if x < 0.0 { 0.0 } else { x }, 0.0) }),
];

/// Differences are exact but for the rounding of 0.01, which is also the slope at zero.
#[test]
fn leaky_relu() {
    let input = Shape::Vector { features: 20 };
    Check::new(json!({"type": "leaky_relu"}), input, 3).run(60.0 * 3.0 * 2f64.powi(-24));
    let mut check = Check::new(json!({"type": "leaky_relu"}), input, 3);
    check.x.fill(0.0);
    check.r.fill(1.0);
    assert!(check.gradients(true).0.iter().all(|&dx| dx == 0.01));
}

/// Each element is computed as it is alone, without vectors, for any size: the bits depend neither on the
/// vector width nor on the number of threads. NaN stays NaN.
#[test]
fn every_function_has_the_bits_of_its_definition() {
    let bits = |value: f32| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
    let number = |i: usize| match i % 97 {
        13 => f32::NAN,
        14 => -0.0,
        15 => -1e30,
        16 => 0.0,
        _ => 12.0 * ((i * 7919 % 2003) as f32 / 1001.5 - 1.0),
    };
    for features in (1..70).chain([16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 40_000]) {
        for (table, alone) in ALONE {
            let spec: Value = serde_json::from_str(table).unwrap();
            let mut check = Check::new(spec.clone(), Shape::Vector { features }, 1);
            check.x = (features..2 * features).map(number).collect();
            let (dx, _) = check.gradients(true);
            for (i, (&x, &dy)) in check.x.iter().zip(&check.r).enumerate() {
                let (y, gradient) = alone(x, dy);
                assert_eq!(bits(check.y[i]), bits(y), "{spec} of {x}: {}, not {y}", check.y[i]);
                assert_eq!(bits(dx[i]), bits(gradient), "{spec}, dx of {x}: {}, not {gradient}", dx[i]);
            }
        }
    }
}

/// Far out, functions and slopes are those of their limits, and nothing overflows.
#[test]
fn ends_are_finite() {
    let far = [1e4f32, 1e13, 1e19, 1e30];
    for (spec, low, high) in [
        (json!({"type": "tanh"}), -1.0, 1.0),
        (json!({"type": "sigmoid"}), 0.0, 1.0),
        (json!({"type": "gelu"}), 0.0, f32::NAN),
        (json!({"type": "gelu", "approximate": "tanh"}), 0.0, f32::NAN),
    ] {
        let mut check = Check::new(spec.clone(), Shape::Vector { features: 8 }, 1);
        check.x = far.iter().flat_map(|&x| [-x, x]).collect();
        check.r.fill(1.0);
        let (dx, _) = check.gradients(true);
        for i in (0..8).step_by(2) {
            // NaN stands for the identity.
            let (end, slope) = if high.is_nan() { (check.x[i + 1], 1.0) } else { (high, 0.0) };
            assert!((check.y[i] - low).abs() < 1e-7, "{spec} of {}: {}", check.x[i], check.y[i]);
            assert_eq!(check.y[i + 1], end, "{spec} of {}", check.x[i + 1]);
            assert!(dx[i].abs() < 1e-7 && dx[i + 1] == slope, "{spec}: {} {}", dx[i], dx[i + 1]);
        }
    }
}
