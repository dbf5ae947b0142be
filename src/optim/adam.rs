//! Adam (Kingma, Ba 2015) and, with decoupled decay, AdamW (Loshchilov, Hutter 2019), as in PyTorch.

use super::update::Update;

/// The constants of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adam {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Whether weight decay shrinks the weights directly instead of being added to the gradient.
    pub decoupled_decay: bool,
}

/// The constants of a step: those of the run, with the corrections for moments that start at zero.
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
    /// The constants of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> Corrected {
        let updates = step.saturating_add(1);
        Corrected {
            toward_first: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            toward_second: (1.0 - self.beta2) as f32,
            first: (1.0 / (1.0 - power(self.beta1, updates))) as f32,
            root_of_second: (1.0 / (1.0 - power(self.beta2, updates)).sqrt()) as f32,
            epsilon: self.epsilon as f32,
            decoupled_decay: self.decoupled_decay,
        }
    }
}

/// `base` to the power of `exponent`, by squaring. The exponent of [`f64::powi`] is limited to 2^31 - 1, but
/// runs can be longer. The products and their order are those of `powi`. There are only products, so all
/// machines round in the same way.
fn power(mut base: f64, mut exponent: u64) -> f64 {
    let mut product = 1.0;
    loop {
        if exponent & 1 == 1 {
            product *= base;
        }
        exponent >>= 1;
        if exponent == 0 {
            return product;
        }
        base *= base;
    }
}

/// m = b1 m + (1 - b1) g, s = b2 s + (1 - b2) g^2, w = w - eta m' / (sqrt(s') + epsilon), where m' = m / (1 -
/// b1^t) and s' = s / (1 - b2^t). Decoupled decay first subtracts eta lambda w from w.
#[inline(always)]
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

    /// The first update is the sign of the gradient times the rate: the corrections undo the start at zero.
    #[test]
    fn the_first_step_is_the_rate() {
        let (mut m, mut s, mut w) = ([0.0; 2], [0.0; 2], [1.0, 1.0]);
        let step = Update { scale: 1.0, decay: 0.0, rate: 0.25 };
        update(&step, &ADAM.at(0), &[3.0, -0.125], &mut m, &mut s, &mut w);
        assert_eq!((w, m, s), ([0.75, 1.25], [1.5, -0.0625], [2.25, 0.00390625]));
    }

    /// With decoupled decay, weights shrink by eta lambda, whatever the gradient.
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

    /// A run may be longer than the exponents that `powi` takes. The corrections fall to 1 and stay there at any step.
    #[test]
    fn every_step_has_a_correction() {
        let adam = Adam { beta1: 0.9, beta2: 0.999, ..ADAM };
        let last = u64::from(u32::MAX >> 1);
        for step in
            [last - 2, last - 1, last, last + 1, 2 * last, 2 * last + 1, 1 << 39, u64::MAX - 1, u64::MAX]
        {
            let late = adam.at(step);
            assert_eq!((late.first, late.root_of_second), (1.0, 1.0), "step {step}");
            let (mut m, mut s, mut w) = ([0.5], [0.25], [1.0]);
            update(&Update { scale: 1.0, decay: 0.0, rate: 0.25 }, &late, &[0.5], &mut m, &mut s, &mut w);
            assert!((w[0] - 0.75f32).abs() < 1e-6, "step {step}: {w:?}");
        }
        // A moment that decays so slowly that it still needs a correction after 2^31 steps.
        let slow = Adam { beta2: 1.0 - 2f64.powi(-31), ..adam };
        for (step, left) in [(last - 1, (-1f64).exp()), (last, (-1f64).exp()), (2 * last + 1, (-2f64).exp())]
        {
            let expected = 1.0 / (1.0 - left).sqrt();
            let found = f64::from(slow.at(step).root_of_second);
            assert!((found / expected - 1.0).abs() < 1e-6, "step {step}: {found}, not {expected}");
        }
    }

    /// For exponents that both accept, the powers are bit-identical to those of `powi`, so earlier runs are reproduced.
    #[test]
    fn powers_are_those_of_the_library() {
        for base in [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999] {
            for exponent in (1..2000).chain([1 << 16, 99_999, 1 << 24, i32::MAX - 1, i32::MAX]) {
                let (ours, theirs) = (power(base, exponent as u64), f64::powi(base, exponent));
                assert_eq!(ours.to_bits(), theirs.to_bits(), "{base}^{exponent}");
            }
        }
    }
}
