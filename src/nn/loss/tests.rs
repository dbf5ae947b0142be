//! Losses of values against their definitions in double precision.

use super::*;
use ternflock_tensor::set_threads;

/// A loss, and the loss of one output at its target, by the definition.
type Case = (Box<dyn Loss>, fn(usize, f64, f64) -> f64);

/// The weights of the positive samples of five labels.
const POSITIVE: [f32; 5] = [1.0, 0.5, 2.0, 8.0, 0.0];

fn entropy(z: f64, t: f64, weight: f64) -> f64 {
    weight * t * (-z).exp().ln_1p() + (1.0 - t) * z.exp().ln_1p()
}

fn cases() -> [Case; 6] {
    [
        (Box::new(SquaredError), |_, z, t| (z - t).powi(2)),
        (Box::new(AbsoluteError), |_, z, t| (z - t).abs()),
        (Box::new(Huber::new(1.0)), |_, z, t| huber_at(z - t, 1.0)),
        (Box::new(Huber::new(0.25)), |_, z, t| huber_at(z - t, 0.25)),
        (Box::new(BinaryCrossEntropy::default()), |_, z, t| entropy(z, t, 1.0)),
        (Box::new(BinaryCrossEntropy::new(POSITIVE.to_vec())), |k, z, t| {
            entropy(z, t, f64::from(POSITIVE[k]))
        }),
    ]
}

fn huber_at(d: f64, delta: f64) -> f64 {
    if d.abs() <= delta { d * d / 2.0 } else { delta * (d.abs() - delta / 2.0) }
}

/// Outputs within 4, none at a corner of a loss, and targets 0 and 1.
fn example(samples: usize, width: usize) -> (Vec<f32>, Targets) {
    let outputs = (0..samples * width).map(|i| ((i * 7919) % 1601) as f32 / 200.3 - 4.0).collect();
    let values = (0..samples * width).map(|i| f32::from(u8::from(i * 31 % 7 < 3))).collect();
    (outputs, Targets { values, width, ..Targets::default() })
}

/// The exponential errs by 2^-22 of itself; everything else of a loss is computed in f64, from a difference that is
/// rounded to f32: numbers up to 5 with an error of 2^-22, whose square has ten times that.
#[test]
fn losses_are_their_definitions_and_gradients_their_differences() {
    for (samples, width) in [(1, 1), (3, 1), (7, 5), (200, 5), (4096, 1), (70_000, 5), (9, 4096)] {
        let (outputs, targets) = example(samples, width);
        // The last case has weights for five labels.
        let fitting = if width == POSITIVE.len() { 6 } else { 5 };
        for (loss, definition) in cases().into_iter().take(fitting) {
            let mut gradient = vec![f32::NAN; outputs.len()];
            let tally = loss.compute(&outputs, &targets, 0.5, Some(&mut gradient));
            assert_eq!(loss.compute(&outputs, &targets, 0.5, None), tally);
            let at = |i: usize, by: f64| {
                definition(i % width, f64::from(outputs[i]) + by, f64::from(targets.values[i]))
            };
            let expected = (0..outputs.len()).map(|i| at(i, 0.0)).sum::<f64>() / width as f64;
            assert!(
                (tally.loss - expected).abs() <= 1e-5 * samples as f64,
                "{loss:?}: {} {expected}",
                tally.loss
            );
            assert_eq!((tally.samples, tally.correct), (samples as u64, 0));
            for i in (0..outputs.len()).step_by(outputs.len() / 50 + 1) {
                let difference = 0.5 / width as f64 * (at(i, 1e-5) - at(i, -1e-5)) / 2e-5;
                assert!(
                    (f64::from(gradient[i]) - difference).abs() < 1e-5,
                    "{loss:?}: {} {difference}",
                    gradient[i]
                );
            }
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let (outputs, targets) = example(70_000, 5);
    for (loss, _) in cases() {
        let of = |threads| {
            set_threads(threads).unwrap();
            let mut gradient = vec![0.0; outputs.len()];
            (loss.compute(&outputs, &targets, 0.25, Some(&mut gradient)), gradient)
        };
        let (one, two) = (of(1), of(2));
        set_threads(1).unwrap();
        assert_eq!(one, two, "{loss:?}");
    }
}

#[test]
fn nan_is_not_hidden_and_huge_outputs_do_not_overflow() {
    for (loss, _) in cases() {
        for place in 0..5 {
            let mut outputs = [0.5f32; 5];
            outputs[place] = f32::NAN;
            let targets = Targets { values: vec![1.0, 1.0, 1.0, 1.0, 0.0], width: 5, ..Targets::default() };
            let mut gradient = [0.0; 5];
            assert!(loss.compute(&outputs, &targets, 1.0, Some(&mut gradient)).loss.is_nan(), "{loss:?}");
            assert!(gradient[place].is_nan(), "{loss:?}");
        }
        let outputs = [1e30, -1e30, 1e30, -1e30, 100.0];
        let targets = Targets { values: vec![1.0, 0.0, 0.0, 1.0, 1.0], width: 5, ..Targets::default() };
        let mut gradient = [0.0; 5];
        let tally = loss.compute(&outputs, &targets, 1.0, Some(&mut gradient));
        assert!(
            tally.loss.is_finite() && gradient.iter().all(|g| g.is_finite()),
            "{loss:?}: {tally:?} {gradient:?}"
        );
    }
    let certain = Targets { values: vec![1.0, 0.0], width: 2, ..Targets::default() };
    assert_eq!(BinaryCrossEntropy::default().compute(&[1e30, -1e30], &certain, 1.0, None).loss, 0.0);
}

#[test]
fn at_the_target_an_absolute_error_has_no_slope() {
    let targets = Targets { values: vec![1.0, 0.0, -1.0], width: 3, ..Targets::default() };
    let mut gradient = [f32::NAN; 3];
    AbsoluteError.compute(&[1.0, -0.0, 2.0], &targets, 3.0, Some(&mut gradient));
    assert_eq!(gradient, [0.0, 0.0, 1.0]);
}
