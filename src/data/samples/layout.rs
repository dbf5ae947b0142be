//! From samples one after another to the layout of a network's input. Letters: N samples, C channels, H rows, W columns,
//! T steps, D features.

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
        return Err(Error::Shape {
            layer: "data".into(),
            operation: "fill".into(),
            message: format!("{} values of samples of {shape} do not fit {}", samples.len(), input.len()),
        });
    }
    let batch = samples.len() / size;
    match shape {
        Shape::Vector { .. } => input.copy_from_slice(samples),
        Shape::Image { .. } | Shape::Tokens { .. } => swap(samples, batch, 1, input),
        Shape::Sequence { features, .. } => swap(samples, batch, features, input),
    }
    Ok(())
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

    #[test]
    fn what_does_not_fit_is_refused() {
        let shape = Shape::Vector { features: 2 };
        let message = to_input(shape, &[0.0; 3], &mut [0.0; 3]).unwrap_err().to_string();
        assert!(message.contains("3 values of samples of 2 do not fit 3"), "{message}");
    }
}
