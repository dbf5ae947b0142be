//! Pooling against its definition, bit for bit, for batches around the number of samples that the kernels
//! compute in parallel, with ties, NaNs and infinities.

use serde_json::json;

use super::super::window::{covered, window};
use super::{Check, POOLINGS, order};
use crate::Shape;
use ternflock_tensor::Window;

const IMAGE: (usize, usize, usize) = (2, 6, 5);

/// The pixels of the window of output `(p, q)`, row by row.
fn pixels(w: &Window, (p, q): (usize, usize)) -> Vec<usize> {
    let rows = covered(p, w.kernel.0, w.stride.0, w.padding.0, w.size.0);
    let columns = || covered(q, w.kernel.1, w.stride.1, w.padding.1, w.size.1);
    rows.flat_map(|h| columns().map(move |v| h * w.size.1 + v)).collect()
}

/// The output for the input `x`, and the gradient of the input for the gradient `dy` of the output.
fn definition(is_maximum: bool, w: &Window, n: usize, x: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
    for (at, dy) in dy.iter().enumerate() {
        let (sample, output) = (at % n, at / n);
        let (channel, position) = (output / w.positions(), output % w.positions());
        let area = w.size.0 * w.size.1;
        let index = |pixel: usize| (channel * area + pixel) * n + sample;
        let pixels = pixels(w, (position / w.output.1, position % w.output.1));
        if is_maximum {
            let wins = |value: f32, best: f32| value > best || value.is_nan() && !best.is_nan();
            let better =
                |best, &pixel: &usize| if wins(x[index(pixel)], x[index(best)]) { pixel } else { best };
            let best = pixels.iter().fold(pixels[0], better);
            y[at] = x[index(best)];
            dx[index(best)] += dy;
        } else {
            let share = 1.0 / pixels.len() as f32;
            for pixel in pixels {
                y[at] += share * x[index(pixel)];
                dx[index(pixel)] += share * dy;
            }
        }
    }
    (y, dx)
}

#[test]
fn pooling_equals_its_definition_for_any_batch() {
    // The sign and the payload of a NaN that is computed depend on the instructions.
    let number = |value: &f32| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
    let bits = |values: &[f32]| values.iter().map(number).collect::<Vec<_>>();
    let (channels, height, width) = IMAGE;
    for (kernel, stride, padding, ceil) in POOLINGS {
        let w = window(IMAGE, (kernel, kernel), (stride, stride), (padding, padding), ceil).unwrap();
        for (kind, batch) in ["max_pool2d", "avg_pool2d"]
            .into_iter()
            .flat_map(|kind| [1, 31, 32, 33, 64, 70].map(|batch| (kind, batch)))
        {
            let spec = json!({"type": kind, "kernel": kernel, "stride": stride, "padding": padding,
                              "ceil": ceil});
            let mut check = Check::new(spec, Shape::Image { channels, height, width }, batch);
            let special = [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, -0.0];
            let value = |&i: &usize| special.get(i % 23).copied().unwrap_or((i % 5) as f32 - 2.0);
            check.x = order(check.x.len(), 4).iter().map(value).collect();
            let (dx, _) = check.gradients(true);
            let (y, expected) = definition(kind == "max_pool2d", &w, batch, &check.x, &check.r);
            let case = format!("{kind} {kernel} {stride} {padding} {ceil}, batch {batch}");
            assert_eq!(bits(&check.y), bits(&y), "output, {case}");
            assert_eq!(bits(&dx), bits(&expected), "gradient, {case}");
        }
    }
}
