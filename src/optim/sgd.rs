//! Stochastic gradient descent with momentum: v = mu v + (g + lambda w), w = w - eta v, as in PyTorch.

use std::ops::Range;

/// The momentum buffer of every parameter, and the constants.
#[derive(Clone, Debug)]
pub struct Sgd {
    momentum: f32,
    weight_decay: f32,
    /// The velocities v, laid out as the parameters.
    pub velocity: Vec<f32>,
}

impl Sgd {
    /// For `parameters` parameters in all, at rest.
    pub fn new(momentum: f64, weight_decay: f64, parameters: usize) -> Sgd {
        Sgd { momentum: momentum as f32, weight_decay: weight_decay as f32, velocity: vec![0.0; parameters] }
    }

    /// One step for the tensor at `range`; with `decay` its weights are pulled towards zero. The L2 gradient is added
    /// here, after the exchange, so that it is never rounded to ternary.
    pub fn update(
        &mut self,
        range: Range<usize>,
        decay: bool,
        learning_rate: f64,
        gradients: &[f32],
        values: &mut [f32],
    ) {
        let (mu, eta) = (self.momentum, learning_rate as f32);
        let lambda = if decay { self.weight_decay } else { 0.0 };
        let (gradients, values) = (&gradients[range.clone()], &mut values[range.clone()]);
        for ((v, g), w) in self.velocity[range].iter_mut().zip(gradients).zip(values) {
            *v = mu * *v + (g + lambda * *w);
            *w -= eta * *v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Powers of two: every product and sum is exact, so the formula can be checked by equality.
    #[test]
    fn two_steps_by_hand() {
        let mut sgd = Sgd::new(0.5, 0.25, 3);
        let mut w = [1.0, 2.0, 8.0];
        sgd.update(1..3, true, 0.5, &[9.0, 1.0, 2.0], &mut w);
        assert_eq!((w, &sgd.velocity[..]), ([1.0, 1.25, 6.0], &[0.0, 1.5, 4.0][..]));
        sgd.update(1..3, false, 0.5, &[9.0, 1.0, 2.0], &mut w);
        assert_eq!((w, &sgd.velocity[..]), ([1.0, 0.375, 4.0], &[0.0, 1.75, 4.0][..]));
    }
}
