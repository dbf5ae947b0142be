//! Adam (Kingma, Ba 2015) and, where decay is decoupled, AdamW (Loshchilov, Hutter 2019), as in PyTorch.

use super::update::Update;

/// The constants of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adam {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Whether decay shrinks weights by itself, beside the update, instead of being part of the gradient.
    pub decoupled_decay: bool,
}

/// The constants of a step: those of the run, with the corrections for moments that began at zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corrected {
    toward_first: f32,
    beta2: f32,
    toward_second: f32,
    first: f32,
    root_of_second: f32,
    epsilon: f32,
    decoupled_decay: bool,
}

impl Adam {
    /// The constants of step `step`, from 0. The powers are products alone: any machine rounds them alike.
    pub fn at(&self, step: u64) -> Corrected {
        let updates = i32::try_from(step).unwrap_or(i32::MAX - 1) + 1;
        Corrected {
            toward_first: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            toward_second: (1.0 - self.beta2) as f32,
            first: (1.0 / (1.0 - self.beta1.powi(updates))) as f32,
            root_of_second: (1.0 / (1.0 - self.beta2.powi(updates)).sqrt()) as f32,
            epsilon: self.epsilon as f32,
            decoupled_decay: self.decoupled_decay,
        }
    }
}

/// m = b1 m + (1 - b1) g, s = b2 s + (1 - b2) g^2, w = w - eta m' / (sqrt(s') + epsilon), where m' = m / (1 - b1^t) and
/// s' = s / (1 - b2^t). Decoupled decay takes eta lambda w from w first.
pub(super) fn update(
    update: &Update,
    adam: &Corrected,
    gradients: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    values: &mut [f32],
) {
    let shrink = if adam.decoupled_decay { update.rate * update.decay } else { 0.0 };
    let l2 = if adam.decoupled_decay { Update { decay: 0.0, ..*update } } else { *update };
    let rate = update.rate * adam.first;
    for (((g, m), s), w) in gradients.iter().zip(first).zip(second).zip(values) {
        let g = l2.gradient(*g, *w);
        *m += adam.toward_first * (g - *m);
        *s = adam.beta2 * *s + adam.toward_second * (g * g);
        *w = (*w - shrink * *w) - rate * *m / (s.sqrt() * adam.root_of_second + adam.epsilon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADAM: Adam = Adam { beta1: 0.5, beta2: 0.75, epsilon: 0.0, decoupled_decay: false };

    /// The first update is the sign of the gradient times the rate: both corrections undo the moments' beginnings.
    #[test]
    fn the_first_step_is_the_rate() {
        let (mut m, mut s, mut w) = ([0.0; 2], [0.0; 2], [1.0, 1.0]);
        let step = Update { scale: 1.0, decay: 0.0, rate: 0.25 };
        update(&step, &ADAM.at(0), &[3.0, -0.125], &mut m, &mut s, &mut w);
        assert_eq!((w, m, s), ([0.75, 1.25], [1.5, -0.0625], [2.25, 0.00390625]));
    }

    /// Weights that decay beside the update shrink by eta lambda, whatever the gradient.
    #[test]
    fn decoupled_decay_is_no_part_of_the_moments() {
        let step = Update { scale: 1.0, decay: 0.5, rate: 0.25 };
        let adam = Adam { decoupled_decay: true, ..ADAM };
        let (mut m, mut s, mut w) = ([0.0], [0.0], [8.0]);
        update(&step, &adam.at(0), &[1.0], &mut m, &mut s, &mut w);
        assert_eq!((w, m, s), ([6.75], [0.5], [0.25]));
        let (mut m, mut s, mut w) = ([0.0], [0.0], [8.0]);
        update(&step, &ADAM.at(0), &[1.0], &mut m, &mut s, &mut w);
        assert_eq!((w, m, s), ([7.75], [2.5], [6.25]), "as L2, the gradient is 1 + 0.5 * 8");
    }

    /// A run may be longer than the exponents a power takes; by then both corrections are 1.
    #[test]
    fn the_longest_runs_have_a_correction_too() {
        let late = Adam { beta1: 0.9, beta2: 0.999, ..ADAM }.at(1 << 39);
        assert_eq!((late.first, late.root_of_second), (1.0, 1.0));
    }
}
