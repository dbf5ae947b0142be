//! From samples one after another to the layout of a network's input. Letters: N samples, C channels, H rows, W columns,
//! T steps, D features.

use crate::fill::{row_of, write_row};
use crate::{Augment, View};
use ternflock_base::error::{Error, Result};
use ternflock_nn::Shape;

/// Writes `samples`, N of shape `shape` one after another, to `input`: images as `[C, H, W, N]`, sequences as
/// `[T, N, D]`, vectors as they are, `[N, D]`.
///
/// # Errors
/// If the sizes do not belong together.
pub fn to_input(shape: Shape, samples: &[f32], input: &mut [f32]) -> Result<()> {
    let size = shape.elements().max(1);
    if samples.len() != input.len() || !samples.len().is_multiple_of(size) {
        return Err(misfit(shape, samples, input));
    }
    let batch = samples.len() / size;
    match shape {
        Shape::Vector { .. } => input.copy_from_slice(samples),
        Shape::Image { .. } | Shape::Tokens { .. } => swap(samples, batch, 1, input),
        Shape::Sequence { features, .. } => swap(samples, batch, features, input),
    }
    Ok(())
}

/// Writes parts of images to `input`, `[C, h, w, N]` with the size h x w that `augment` sets: of sample n of `samples`,
/// `[C, H, W]` each, the part `view(n)`. Padding is 0.
///
/// # Errors
/// If the sizes do not belong together, or if the samples are no images.
pub fn parts_to_input(
    shape: Shape,
    samples: &[f32],
    augment: &Augment,
    view: impl Fn(usize) -> View,
    input: &mut [f32],
) -> Result<()> {
    let Shape::Image { channels, height, width } = shape else { return Err(misfit(shape, samples, input)) };
    let size = shape.elements().max(1);
    let batch = samples.len() / size;
    if !samples.len().is_multiple_of(size) || input.len() != batch * channels * augment.height * augment.width
    {
        return Err(misfit(shape, samples, input));
    }
    for (number, sample) in samples.chunks_exact(size).enumerate() {
        let view = view(number);
        for (line, out) in input.chunks_exact_mut(augment.width * batch).enumerate() {
            let (channel, row) = (line / augment.height, line % augment.height);
            let plane = &sample[channel * height * width..][..height * width];
            let source = row_of(plane, width, view.top + row as isize);
            let values = out[number..].iter_mut().step_by(batch).take(augment.width);
            write_row(values, source, view, |value| value);
        }
    }
    Ok(())
}

fn misfit(shape: Shape, samples: &[f32], input: &[f32]) -> Error {
    Error::Shape {
        layer: "data".into(),
        operation: "fill".into(),
        message: format!("{} values of samples of {shape} do not fit {}", samples.len(), input.len()),
    }
}

/// From `[N, M, D]` to `[M, N, D]`, where `batch` is N and `inner` is D.
fn swap(samples: &[f32], batch: usize, inner: usize, input: &mut [f32]) {
    if inner == 0 || batch == 0 {
        return;
    }
    let size = samples.len() / batch;
    for (row, out) in input.chunks_exact_mut(batch * inner).enumerate() {
        let all = samples.chunks_exact(size).zip(out.chunks_exact_mut(inner));
        all.for_each(|(sample, out)| out.copy_from_slice(&sample[row * inner..][..inner]));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Fill, Images};
    use ternflock_job as job;

    proptest! {
        #[test]
        fn every_value_is_where_the_network_looks_for_it(
            batch in 1usize..5, (c, h, w) in (1usize..4, 1usize..4, 1usize..4)
        ) {
            let value = |n: usize, at: usize| (n * 100 + at) as f32;
            let size = c * h * w;
            let samples: Vec<f32> =
                (0..batch).flat_map(|n| (0..size).map(move |at| value(n, at))).collect();
            let mut input = vec![f32::NAN; samples.len()];
            to_input(Shape::Image { channels: c, height: h, width: w }, &samples, &mut input).unwrap();
            for (at, n) in (0..size).flat_map(|at| (0..batch).map(move |n| (at, n))) {
                prop_assert_eq!(input[at * batch + n], value(n, at));
            }
            let (steps, features) = (c, h * w);
            to_input(Shape::Sequence { steps, features }, &samples, &mut input).unwrap();
            for (at, n) in (0..size).flat_map(|at| (0..batch).map(move |n| (at, n))) {
                let (t, d) = (at / features, at % features);
                prop_assert_eq!(input[(t * batch + n) * features + d], value(n, at));
            }
            to_input(Shape::Vector { features: size }, &samples, &mut input).unwrap();
            prop_assert_eq!(&input, &samples);
        }
    }

    proptest! {
        /// Parts of samples in numbers are those that are filled from bytes.
        #[test]
        fn parts_are_those_of_images_in_memory(
            c in 1usize..3, h in 1usize..6, w in 1usize..6, padding in 0usize..3, crop in 1usize..8, mirror in any::<bool>(), seed in any::<u64>()
        ) {
            prop_assume!(crop <= h.min(w) + 2 * padding);
            let images = Images {
                channels: c,
                height: h,
                width: w,
                pixels: (0..3 * c * h * w).map(|value| value as u8).collect(),
                labels: vec![0; 3],
                classes: 1,
                full_scale: 255,
            };
            let augment =
                Augment::new(Some(&job::Augment { padding, crop: Some(crop), mirror }), &images).unwrap();
            let view = |position| augment.random(seed, 5, position);
            let (mut expected, mut found) = (vec![f32::NAN; 3 * c * crop * crop], vec![f32::NAN; 3 * c * crop * crop]);
            let fill = Fill::new(&images, None).unwrap();
            fill.pixels(&images, &[0, 1, 2], &augment, view, &mut expected).unwrap();
            let samples: Vec<f32> = images.pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            let shape = Shape::Image { channels: c, height: h, width: w };
            parts_to_input(shape, &samples, &augment, view, &mut found).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let shape = Shape::Vector { features: 2 };
        let message = to_input(shape, &[0.0; 3], &mut [0.0; 3]).unwrap_err().to_string();
        assert!(message.contains("3 values of samples of 2 do not fit 3"), "{message}");
    }
}
