//! Weights that are zero and stay zero while the others are fine-tuned: the "disconnected" connections of the
//! published code.
//!
//! Weights that are zero before a step are zero after it. So nothing needs to be stored between steps, and a
//! resumed run continues with the same zeros. Biases and the parameters of batch norm are not frozen, because
//! their initial values may be zero.

use std::ops::Range;

use ternflock_nn::Parameters;

/// The zeros of one step.
pub struct FrozenZeros {
    weights: Vec<Range<usize>>,
    /// The zeros, by place in the flat vector.
    is_zero: Vec<bool>,
}

impl FrozenZeros {
    /// Buffers for the zeros of `parameters`.
    pub fn new(parameters: &Parameters) -> FrozenZeros {
        let weights = parameters.table.iter().filter(|tensor| tensor.spec.role.decays());
        FrozenZeros {
            weights: weights.map(|tensor| tensor.range.clone()).collect(),
            is_zero: vec![false; parameters.values.len()],
        }
    }

    /// Before the update: records which weights are zero, and sets their gradients to zero.
    pub fn note(&mut self, parameters: &mut Parameters) {
        for range in self.weights.iter().cloned() {
            let gradients = &mut parameters.gradients[range.clone()];
            let values = &parameters.values[range.clone()];
            for ((is_zero, gradient), value) in self.is_zero[range].iter_mut().zip(gradients).zip(values) {
                *is_zero = *value == 0.0;
                *gradient = if *is_zero { 0.0 } else { *gradient };
            }
        }
    }

    /// After the update, in which momentum may have moved these weights: sets them to zero again.
    pub fn restore(&self, values: &mut [f32]) {
        for range in self.weights.iter().cloned() {
            for (value, &is_zero) in values[range.clone()].iter_mut().zip(&self.is_zero[range]) {
                *value = if is_zero { 0.0 } else { *value };
            }
        }
    }

    /// After the mean over ranks, in which compression may have moved these weights: sets those to zero that are zero in
    /// `before`. Zeros that only this rank has noted in between do not count.
    pub fn restore_zeros_of(&self, before: &[f32], values: &mut [f32]) {
        for range in self.weights.iter().cloned() {
            for (value, &before) in values[range.clone()].iter_mut().zip(&before[range]) {
                *value = if before == 0.0 { 0.0 } else { *value };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_models::preset;
    use ternflock_nn::Shape;

    #[test]
    fn zeros_stay_and_the_rest_moves() {
        let graph = preset("mlp", Shape::Image { channels: 1, height: 4, width: 4 }, 10).unwrap();
        let mut parameters = Parameters::new(&graph).unwrap();
        parameters.initialise(1);
        let weight = parameters.table[0].range.clone();
        assert!(parameters.table[0].spec.role.decays() && !parameters.table[1].spec.role.decays());
        parameters.values[weight.clone()].iter_mut().step_by(3).for_each(|value| *value = 0.0);
        parameters.gradients.fill(1.0);
        let before = parameters.values.clone();
        let mut zeros = FrozenZeros::new(&parameters);
        zeros.note(&mut parameters);
        parameters.values.iter_mut().for_each(|value| *value -= 0.5);
        zeros.restore(&mut parameters.values);
        for (at, &was) in before.iter().enumerate() {
            let frozen = was == 0.0 && weight.contains(&at);
            assert_eq!(parameters.values[at], if frozen { 0.0 } else { was - 0.5 });
            assert_eq!(parameters.gradients[at], if frozen { 0.0 } else { 1.0 });
        }
        // Weights that were not zero `before` may move, even if this rank has noted them as zeros.
        let noted = parameters.values.clone();
        parameters.values.fill(7.0);
        zeros.restore_zeros_of(&noted, &mut parameters.values);
        for (at, &was) in noted.iter().enumerate() {
            let frozen = was == 0.0 && weight.contains(&at);
            assert_eq!(parameters.values[at], if frozen { 0.0 } else { 7.0 });
        }
    }
}
