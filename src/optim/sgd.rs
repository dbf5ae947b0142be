//! Stochastic gradient descent, plain, with momentum or with Nesterov's momentum, as in PyTorch: the momentum
//! does not contain the rate, so a change of the rate takes effect immediately.

use super::update::Update;

/// w = w - eta g. Without decay, g is not a function of w, and an infinite w stays.
#[inline(always)]
pub(super) fn plain(update: &Update, gradients: &[f32], values: &mut [f32]) {
    let pairs = gradients.iter().zip(values);
    match update.decay {
        0.0 => pairs.for_each(|(g, w)| *w -= update.rate * (update.scale * g)),
        _ => pairs.for_each(|(g, w)| *w -= update.rate * update.gradient(*g, *w)),
    }
}

/// Whether [`plain`] leaves every weight whose gradient is 0 as it is, to the bit: w - 0 is w for all w, also for -0.
pub(super) fn plain_keeps(update: &Update) -> bool {
    update.decay == 0.0 && (update.rate * (update.scale * 0.0)).to_bits() == 0
}

/// v = mu v + g, w = w - eta v.
#[inline(always)]
pub(super) fn momentum(
    update: &Update,
    mu: f32,
    gradients: &[f32],
    momentum: &mut [f32],
    values: &mut [f32],
) {
    for ((g, v), w) in gradients.iter().zip(momentum).zip(values) {
        *v = mu * *v + update.gradient(*g, *w);
        *w -= update.rate * *v;
    }
}

/// v = mu v + g, w = w - eta (g + mu v): Nesterov's momentum as Sutskever et al. (2013) rewrote it.
#[inline(always)]
pub(super) fn nesterov(
    update: &Update,
    mu: f32,
    gradients: &[f32],
    momentum: &mut [f32],
    values: &mut [f32],
) {
    for ((g, v), w) in gradients.iter().zip(momentum).zip(values) {
        let g = update.gradient(*g, *w);
        *v = mu * *v + g;
        *w -= update.rate * (g + mu * *v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAYS: Update = Update { scale: 1.0, decay: 0.25, rate: 0.5 };

    /// Powers of two: every product and sum is exact, so the formulas can be checked by equality.
    #[test]
    fn two_steps_by_hand() {
        let (mut v, mut w) = ([0.0; 2], [2.0, 8.0]);
        momentum(&DECAYS, 0.5, &[1.0, 2.0], &mut v, &mut w);
        assert_eq!((w, v), ([1.25, 6.0], [1.5, 4.0]));
        momentum(&Update { decay: 0.0, ..DECAYS }, 0.5, &[1.0, 2.0], &mut v, &mut w);
        assert_eq!((w, v), ([0.375, 4.0], [1.75, 4.0]));
    }

    #[test]
    fn nesterov_looks_ahead_and_plain_has_no_state() {
        let (mut v, mut w) = ([0.0], [2.0]);
        nesterov(&DECAYS, 0.5, &[1.0], &mut v, &mut w);
        assert_eq!((w, v), ([0.875], [1.5]), "1.5 + 0.5 * 1.5, times 0.5");
        let mut w = [2.0];
        plain(&Update { scale: 0.5, ..DECAYS }, &[1.0], &mut w);
        assert_eq!(w, [1.5], "0.5 + 0.25 * 2, times 0.5: the clipped gradient, and all of the decay");
        let keeps = |decay: f32, rate: f32| plain_keeps(&Update { decay, rate, ..DECAYS });
        assert!(keeps(0.0, 0.5) && !keeps(0.1, 0.5) && !keeps(0.0, -0.5) && !keeps(0.0, f32::NAN));
    }
}
