//! The plain l1 norm of all weights, which makes a network sparse but leaves its structures: a baseline for
//! group lasso.

use std::ops::Range;

use ternflock_job::Sparsity;
use ternflock_nn::{Graph, Parameter, Parameters};
use ternflock_tensor::vectorise;

/// Weights and their strengths. Biases and the parameters of batch norm are excluded.
pub struct L1(Vec<Weight>);

struct Weight {
    /// The number of the tensor in the table.
    tensor: usize,
    range: Range<usize>,
    strength: f32,
}

impl L1 {
    /// The penalty that `job` sets.
    pub fn new(job: &Sparsity, graph: &Graph, parameters: &Parameters) -> L1 {
        let table = parameters.table.iter().enumerate();
        let weights = table.filter(|(_, tensor)| job.l1 > 0.0 && tensor.spec.role.decays());
        let strength = |layer: usize| job.l1 * job.factors.get(&graph.layers()[layer].name).unwrap_or(&1.0);
        let weight = |(tensor, own): (usize, &Parameter)| Weight {
            tensor,
            range: own.range.clone(),
            strength: strength(own.layer) as f32,
        };
        L1(weights.map(weight).collect())
    }

    /// Whether any strength is above 0.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the sub-gradient: the strength with the sign of each weight, and 0 for zeros.
    pub fn add_gradients(&self, values: &[f32], gradients: &mut [f32]) {
        for Weight { range, strength, .. } in &self.0 {
            let (values, gradients) = (&values[range.clone()], &mut gradients[range.clone()]);
            vectorise(
                #[inline(always)]
                || {
                    for (gradient, value) in gradients.iter_mut().zip(values) {
                        *gradient += if *value == 0.0 { 0.0 } else { strength.copysign(*value) };
                    }
                },
            );
        }
    }

    /// The proximal step at the `rates` of the tensors: every weight moves towards zero by the rate of its tensor times
    /// its strength, but not past zero (Parikh and Boyd, 2014, section 6.5.2).
    pub fn shrink(&self, rates: &[f64], values: &mut [f32]) {
        for Weight { tensor, range, strength } in &self.0 {
            let step = rates[*tensor] as f32 * strength;
            let values = &mut values[range.clone()];
            vectorise(
                #[inline(always)]
                || {
                    for w in values.iter_mut() {
                        // A comparison, so that NaN stays NaN.
                        let left = w.abs() - step;
                        *w = if left <= 0.0 { 0.0 } else { left.copysign(*w) };
                    }
                },
            );
        }
    }
}
