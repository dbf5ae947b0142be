//! Binary cross-entropy of logits. Letters: N samples, K labels.

use super::blocks::{Block, LANES, over_blocks};
use super::{Loss, Tally};
use crate::targets::Targets;
use ternflock_tensor::{exp, vectorise};

/// The mean over K labels of -(w t ln s + (1 - t) ln(1 - s)) with the logistic function s of the logit, the target t in
/// [0, 1] and the weight w of the label's positive samples. As `binary_cross_entropy_with_logits` of PyTorch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BinaryCrossEntropy {
    weights: Vec<f32>,
}

impl BinaryCrossEntropy {
    /// The loss in which positive samples of each label have the `weights` `[K]`; no weights: each is 1.
    pub fn new(weights: Vec<f32>) -> BinaryCrossEntropy {
        BinaryCrossEntropy { weights }
    }
}

impl Loss for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "binary-cross-entropy"
    }

    fn compute(
        &self,
        outputs: &[f32],
        targets: &Targets,
        weight: f32,
        gradient: Option<&mut [f32]>,
    ) -> Tally {
        over_blocks(outputs, targets, weight, gradient, |block, scale, gradient| match &self.weights[..] {
            [] => vectorise(
                #[inline(always)]
                || plain(block, scale, gradient),
            ),
            weights => weighted(&block, weights, scale, gradient),
        })
    }
}

/// With e = exp(-|z|), the loss of a logit z is max(z, 0) - z t + ln(1 + e): nothing overflows. The logarithm of the
/// product of all 1 + e, each at most 2, is that of a block.
#[inline(always)]
fn plain(block: Block, scale: f32, gradient: Option<&mut [f32]>) -> f64 {
    let Block { outputs, values, .. } = block;
    if let Some(gradient) = gradient {
        for ((to, &z), &t) in gradient.iter_mut().zip(outputs).zip(values) {
            let e = exp(-z.abs());
            let likely = 1.0 / (1.0 + e);
            *to = scale * (if z < 0.0 { e * likely } else { likely } - t);
        }
    }
    let line = |z: f32, t: f32| f64::from(if z > 0.0 { z } else { 0.0 }) - f64::from(z) * f64::from(t);
    let factor = |z: f32| 1.0 + f64::from(exp(-z.abs()));
    let ((blocks, rest), (targets, others)) = (outputs.as_chunks::<LANES>(), values.as_chunks::<LANES>());
    let (mut sums, mut products) = ([0.0f64; LANES], [1.0f64; LANES]);
    for (outputs, targets) in blocks.iter().zip(targets) {
        for lane in 0..LANES {
            sums[lane] += line(outputs[lane], targets[lane]);
            products[lane] *= factor(outputs[lane]);
        }
    }
    for (lane, (&z, &t)) in rest.iter().zip(others).enumerate() {
        sums[lane] += line(z, t);
        products[lane] *= factor(z);
    }
    sums.iter().sum::<f64>() + products.iter().map(|product| product.ln()).sum::<f64>()
}

/// The same with `weights` of positive samples, one value after the other.
fn weighted(block: &Block, weights: &[f32], scale: f32, mut gradient: Option<&mut [f32]>) -> f64 {
    let mut sum = 0.0;
    for (at, (&z, &t)) in block.outputs.iter().zip(block.values).enumerate() {
        let weight = f64::from(weights[(block.first + at) % weights.len()]);
        let (z, t) = (f64::from(z), f64::from(t));
        // Of ln s and ln(1 - s), negated.
        let rest = (-z.abs()).exp().ln_1p();
        let (positive, negative) = (rest + (-z).max(0.0), rest + z.max(0.0));
        sum += weight * t * positive + (1.0 - t) * negative;
        if let Some(gradient) = gradient.as_deref_mut() {
            let (likely, unlikely) = (1.0 / (1.0 + (-z).exp()), 1.0 / (1.0 + z.exp()));
            gradient[at] = scale * ((1.0 - t) * likely - weight * t * unlikely) as f32;
        }
    }
    sum
}
