//! Sharpness: how much the loss can rise in a small box around the parameters, in percent.
//!
//! N. S. Keskar et al., "On Large-Batch Training for Deep Learning: Generalization Gap and Sharp Minima" (ICLR 2017), metric 2.1
//! in the full space: 100 (max of f in the box - f(x)) / (1 + f(x)), where the box is within eps (|x_i| + 1) of x_i.

use serde::Serialize;

use super::Objective;
use super::ascent::{Cube, climb};
use ternflock_base::error::Result;
use ternflock_base::rng::{Purpose, Stream};

/// The settings of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// eps.
    pub epsilon: f64,
    /// Iterations of the maximiser.
    pub iterations: usize,
    /// The number of repeats, each of which starts at another point of the box.
    pub repeats: usize,
    /// The seed of the starting points.
    pub seed: u64,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sharpness {
    /// The settings.
    #[serde(flatten)]
    pub measure: Measure,
    /// f(x).
    pub loss: f64,
    /// The largest f of each repeat.
    pub highest: Vec<f64>,
    /// Each repeat's sharpness.
    pub repeated: Vec<f64>,
    /// The largest of them: the best known lower bound on the maximum.
    pub sharpness: f64,
}

/// The sharpness of `objective` at `x`.
///
/// # Errors
/// Those of the objective, for example if the loss is not finite somewhere in the box.
pub fn sharpness(objective: &mut dyn Objective, x: &[f32], measure: Measure) -> Result<Sharpness> {
    let loss = objective.value(x)?;
    let epsilon = measure.epsilon as f32;
    let width: Vec<f32> = x.iter().map(|x| epsilon * (x.abs() + 1.0)).collect();
    let cube = Cube { centre: x, width: &width };
    let mut z = vec![0.0; x.len()];
    let mut highest = Vec::with_capacity(measure.repeats);
    for repeat in 0..measure.repeats {
        begin(&measure, repeat, &mut z);
        // In the centre of the box, the value is f(x).
        highest.push(climb(objective, &cube, &mut z, measure.iterations)?.max(loss));
    }
    let repeated: Vec<f64> = highest.iter().map(|highest| 100.0 * (highest - loss) / (1.0 + loss)).collect();
    let sharpness = repeated.iter().copied().fold(0.0, f64::max);
    Ok(Sharpness { measure, loss, highest, repeated, sharpness })
}

/// A uniformly distributed point of the box.
fn begin(measure: &Measure, repeat: usize, z: &mut [f32]) {
    let stream = Stream {
        seed: measure.seed,
        purpose: Purpose::Landscape,
        step: repeat as u64,
        subject: 0,
        tensor: 0,
    };
    for (block, z) in z.chunks_mut(4).enumerate() {
        let words = stream.block(block as u32);
        z.iter_mut().zip(words).for_each(|(z, word)| *z = word as f32 / 2f32.powi(31) - 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.5 sum of c x^2 + 1.
    struct Bowl(f64);

    impl Objective for Bowl {
        fn value_and_gradient(&mut self, x: &[f32], gradient: &mut [f32]) -> Result<f64> {
            gradient.iter_mut().zip(x).for_each(|(gradient, x)| *gradient = self.0 as f32 * x);
            self.value(x)
        }

        fn value(&mut self, x: &[f32]) -> Result<f64> {
            Ok(1.0 + 0.5 * self.0 * x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>())
        }
    }

    /// Around 0, the box extends eps to each side: all corners have the same value, and a bowl that is twice
    /// as steep is twice as sharp.
    #[test]
    fn a_bowl_is_as_sharp_as_its_corners() {
        let measure = Measure { epsilon: 0.01, iterations: 10, repeats: 3, seed: 1 };
        for curvature in [1.0, 2.0, 100.0] {
            let found = sharpness(&mut Bowl(curvature), &[0.0; 7], measure).unwrap();
            let exact = 100.0 * 0.5 * curvature * 7.0 * 1e-4 / 2.0;
            assert!((found.sharpness / exact - 1.0).abs() < 1e-4, "{found:?}, not {exact}");
            assert_eq!((found.loss, found.highest.len(), found.repeated.len()), (1.0, 3, 3));
        }
        // Away from 0, the box is wider by |x|, and the far corner has the largest value.
        let found = sharpness(&mut Bowl(1.0), &[3.0], measure).unwrap();
        let exact = 100.0 * 0.5 * (3.04f64.powi(2) - 9.0) / 6.5;
        assert!((found.sharpness / exact - 1.0).abs() < 1e-4, "{found:?}, not {exact}");
    }
}
