//! The mean squared error. Letters: N samples, K outputs.

use super::{Loss, Tally};
use crate::targets::Targets;

/// The mean over K outputs of the squared difference between output and target; the loss of least squares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SquaredError;

impl Loss for SquaredError {
    fn name(&self) -> &'static str {
        "mse"
    }

    fn compute(
        &self,
        outputs: &[f32],
        targets: &Targets,
        weight: f32,
        mut gradient: Option<&mut [f32]>,
    ) -> Tally {
        let (values, width) = (&targets.values, targets.width);
        assert_eq!(outputs.len(), values.len(), "outputs and targets of {width} values");
        let mut tally = Tally::default();
        for (row, (outputs, values)) in outputs.chunks(width).zip(values.chunks(width)).enumerate() {
            let differences = outputs.iter().zip(values).map(|(output, value)| output - value);
            let sum: f64 = differences.clone().map(|difference| f64::from(difference).powi(2)).sum();
            tally += Tally { loss: sum / width as f64, correct: 0, samples: 1 };
            if let Some(gradient) = gradient.as_deref_mut() {
                let scale = 2.0 * weight / width as f32;
                let gradient = gradient[row * width..][..width].iter_mut();
                gradient.zip(differences).for_each(|(gradient, difference)| *gradient = scale * difference);
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_the_mean_over_outputs_and_the_gradient_its_derivative() {
        let targets = Targets { values: vec![1.0, 0.0, -1.0, 2.0], width: 2, ..Targets::default() };
        let mut gradient = [f32::NAN; 4];
        let outputs = [2.0, 2.0, -1.0, 2.5];
        let tally = SquaredError.compute(&outputs, &targets, 0.5, Some(&mut gradient));
        assert_eq!((tally.loss, tally.samples), (2.5 + 0.125, 2));
        assert_eq!(gradient, [0.5, 1.0, 0.0, 0.25]);
        assert_eq!(SquaredError.compute(&outputs, &targets, 0.5, None), tally);
    }
}
