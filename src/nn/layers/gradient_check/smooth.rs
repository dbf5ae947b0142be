//! Layers that are not linear in a single coordinate, against plain references in f64: outputs directly,
//! gradients by central differences of the reference, whose errors (steps of 1e-5: 1e-10 of a third
//! derivative) are negligible compared with those of f32.
//!
//! Letters: C channels, N samples, G samples per ghost batch.

use serde_json::{Value, json};

use super::{Check, order};
use crate::Shape;

/// `n` distinct numbers in [-0.75, 1.25), none of them the mean of all.
fn numbers(n: usize, subject: u32) -> Vec<f32> {
    let number = |i: usize| (2 * i) as f32 / n as f32 - 1.0;
    order(n, subject).iter().map(|&i| number(i) + number(i) * number(i) / 4.0).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Compares a layer with `reference(x, parameters)`. Each number it computes is a sum of at most `terms`
/// terms below `magnitude`, each rounded a few times: roundings have either sign, so their sum grows as the
/// root of their number.
pub(super) fn check(
    spec: &Value,
    (input, batch): (Shape, usize),
    reference: impl Fn(&[f64], &[f64]) -> Vec<f64>,
    (terms, magnitude): (usize, f64),
) {
    let mut check = Check::new(spec.clone(), input, batch);
    check.x = numbers(check.x.len(), 5);
    check.parameters = numbers(check.parameters.len(), 6).iter().map(|p| p + 1.5).collect();
    check.r = numbers(check.r.len(), 7);
    let (dx, gradients) = check.gradients(true);
    let tolerance = 8.0 * (terms as f64).sqrt() * magnitude * 2f64.powi(-24);
    let close = |what: &str, i: usize, found: f32, expected: f64| {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= tolerance, "{spec}: {what} {i}: {found}, not {expected}: {error} > {tolerance}");
    };
    let (mut x, mut parameters, r) = (wide(&check.x), wide(&check.parameters), wide(&check.r));
    let expected = reference(&x, &parameters);
    check.y.iter().zip(expected).enumerate().for_each(|(i, (&y, expected))| close("output", i, y, expected));
    let loss = |x: &[f64], parameters: &[f64]| -> f64 {
        reference(x, parameters).iter().zip(&r).map(|(y, r)| y * r).sum()
    };
    const STEP: f64 = 1e-5;
    assert!(dx.iter().any(|&g| g != 0.0), "all gradients are zero: nothing is checked");
    for (i, &gradient) in dx.iter().enumerate() {
        let value = x[i];
        let mut at = |by: f64| {
            x[i] = value + by;
            loss(&x, &parameters)
        };
        let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        x[i] = value;
        close("input", i, gradient, difference);
    }
    for (i, &gradient) in gradients.iter().enumerate() {
        let value = parameters[i];
        let mut at = |by: f64| {
            parameters[i] = value + by;
            loss(&x, &parameters)
        };
        let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        parameters[i] = value;
        close("parameter", i, gradient, difference);
    }
    assert_eq!(check.gradients(false).1, gradients, "the same whether or not the input's is wanted");
}

/// Batch norm with eps 0.01, of `[C, pixels, N]` or, with one pixel, of `[N, C]`.
fn normalised(
    (c, pixels, n, ghost): (usize, usize, usize, usize),
    is_vector: bool,
    relu: bool,
) -> impl Fn(&[f64], &[f64]) -> Vec<f64> {
    move |x, parameters| {
        let place = |channel: usize, pixel: usize, sample: usize| match is_vector {
            true => sample * c + channel,
            false => (channel * pixels + pixel) * n + sample,
        };
        let mut y = vec![0.0; x.len()];
        for channel in 0..c {
            for first in (0..n).step_by(ghost) {
                let samples = first..n.min(first + ghost);
                let places: Vec<usize> = (0..pixels)
                    .flat_map(|pixel| samples.clone().map(move |sample| (pixel, sample)))
                    .map(|(pixel, sample)| place(channel, pixel, sample))
                    .collect();
                let count = places.len() as f64;
                let mean = places.iter().map(|&at| x[at]).sum::<f64>() / count;
                let variance = places.iter().map(|&at| (x[at] - mean).powi(2)).sum::<f64>() / count;
                let (weight, bias) = match parameters.is_empty() {
                    true => (1.0, 0.0),
                    false => (parameters[channel], parameters[c + channel]),
                };
                for at in places {
                    let value = (x[at] - mean) / (variance + 0.01).sqrt() * weight + bias;
                    y[at] = if relu { value.max(0.0) } else { value };
                }
            }
        }
        y
    }
}

#[test]
fn batch_norm() {
    let image = |channels, height, width| Shape::Image { channels, height, width };
    let vector = |features| Shape::Vector { features };
    // Odd sizes, one pixel, a last ghost batch that is smaller, more than a chunk of lanes.
    let cases = [
        (image(3, 5, 3), 4, None),
        (image(2, 1, 1), 7, None),
        (image(2, 3, 3), 8, Some(2)),
        (image(2, 2, 3), 7, Some(3)),
        (image(1, 9, 9), 5, None),
        (vector(5), 6, None),
        (vector(3), 8, Some(4)),
    ];
    for (input, n, ghost) in cases {
        let (channels, pixels) = match input {
            Shape::Image { channels, height, width } => (channels, height * width),
            shape => (shape.elements(), 1),
        };
        let is_vector = matches!(input, Shape::Vector { .. });
        for (affine, relu) in [(true, false), (true, true), (false, false), (false, true)] {
            let mut spec = json!({"type": "batch_norm", "eps": 0.01, "affine": affine, "relu": relu});
            if let Some(ghost) = ghost {
                spec["ghost_batch"] = ghost.into();
            }
            let sizes = (channels, pixels, n, ghost.unwrap_or(n));
            // x' and its weights are below 5, 1 / deviation below 10.
            check(&spec, (input, n), normalised(sizes, is_vector, relu), (pixels * n, 50.0));
        }
    }
}

/// Local response norm with k = 2, alpha = 0.5 and exponent `beta` of `[C, H, W, N]`.
fn responded(
    (c, h, w, n): (usize, usize, usize, usize),
    size: usize,
    beta: f64,
    within: bool,
) -> impl Fn(&[f64], &[f64]) -> Vec<f64> {
    move |x, _| {
        let at = |channel: usize, row: usize, column: usize, sample: usize| {
            ((channel * h + row) * w + column) * n + sample
        };
        let around =
            |place: usize, end: usize| place.saturating_sub(size / 2)..end.min(place + (size - 1) / 2 + 1);
        let mut y = vec![0.0; x.len()];
        for (i, y) in y.iter_mut().enumerate() {
            let (channel, row, column, sample) = (i / (h * w * n), i / (w * n) % h, i / n % w, i % n);
            let mut squares = 0.0;
            if within {
                for row in around(row, h) {
                    squares += around(column, w)
                        .map(|column| x[at(channel, row, column, sample)].powi(2))
                        .sum::<f64>();
                }
                squares /= (size * size) as f64;
            } else {
                squares += around(channel, c)
                    .map(|channel| x[at(channel, row, column, sample)].powi(2))
                    .sum::<f64>();
                squares /= size as f64;
            }
            *y = x[i] * (2.0 + 0.5 * squares).powf(-beta);
        }
        y
    }
}

#[test]
fn local_response_norm() {
    for (channels, height, width, n) in [(5, 3, 2, 3), (1, 4, 5, 1), (7, 1, 1, 2)] {
        let input = Shape::Image { channels, height, width };
        let cases =
            [("across_channels", 1), ("across_channels", 3), ("across_channels", 2), ("within_channel", 3)];
        for ((region, size), beta) in cases.into_iter().flat_map(|case| [(case, 0.75), (case, 0.6)]) {
            let most = if region == "within_channel" { 2 * height.max(width) } else { 2 * channels };
            if size > most {
                continue;
            }
            let spec = json!({"type": "local_response_norm", "size": size, "alpha": 0.5, "beta": beta,
                              "k": 2.0, "region": region});
            let sizes = (channels, height, width, n);
            check(
                &spec,
                (input, n),
                responded(sizes, size, beta, region == "within_channel"),
                (size * size + 1, 1.0),
            );
        }
    }
}
