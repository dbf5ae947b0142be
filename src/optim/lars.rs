//! Layer-wise adaptive rate scaling (You, Gitman, Ginsburg 2017, "Large Batch Training of Convolutional Networks",
//! algorithm 1): each tensor's rate follows the ratio of the norm of its weights to that of its gradient.

use super::norm::sum_of_squares;
use super::update::Update;

/// trust ||w|| / (||g|| + lambda ||w||), which scales the rate of a tensor. It is 1 if all weights are zero,
/// because they would never move otherwise. It is `None` if the gradient is zero: there is no gradient that
/// the weights could follow. As ||g|| goes to 0, the formula goes to trust / lambda, and without decay it has
/// no bound.
pub(super) fn ratio(trust: f64, update: &Update, gradients: &[f32], values: &[f32]) -> Option<f64> {
    let weights = sum_of_squares(values).sqrt();
    let gradient = f64::from(update.scale) * sum_of_squares(gradients).sqrt();
    match (weights == 0.0, gradient == 0.0) {
        (_, true) => None,
        (true, _) => Some(1.0),
        _ => Some(trust * weights / (gradient + f64::from(update.decay) * weights)),
    }
}

/// v = mu v + eta (g + lambda w), w = w - v, where eta is the schedule's rate times the [`ratio`]. Unlike in
/// [`sgd`](super::sgd), the rate is part of the state v.
#[inline(always)]
pub(super) fn update(update: &Update, mu: f32, gradients: &[f32], velocity: &mut [f32], values: &mut [f32]) {
    for ((g, v), w) in gradients.iter().zip(velocity).zip(values) {
        *v = mu * *v + update.rate * update.gradient(*g, *w);
        *w -= *v;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let (mut v, mut w) = ([0.0, 0.0], [3.0, 4.0]);
        let step = Update { scale: 1.0, decay: 0.5, rate: 0.25 };
        // Norms 5 and 2.5: the gradient has half the norm of the weights, and decay adds the same again.
        assert_eq!(ratio(0.5, &step, &[1.5, 2.0], &w), Some(0.5));
        update(&step, 0.5, &[1.0, 0.0], &mut v, &mut w);
        assert_eq!((w, v), ([2.375, 3.5], [0.625, 0.5]));
        update(&Update { rate: 0.0, ..step }, 0.5, &[1.0, 0.0], &mut v, &mut w);
        assert_eq!(
            (w, v),
            ([2.0625, 3.25], [0.3125, 0.25]),
            "the rate acts on what comes in, not on what is kept"
        );
    }

    #[test]
    fn clipping_counts_and_zeros_leave_the_rate_alone() {
        let half = Update { scale: 0.5, decay: 0.0, rate: 1.0 };
        assert_eq!(ratio(0.5, &half, &[1.0], &[3.0]), Some(3.0));
        assert_eq!(ratio(0.5, &half, &[1.0], &[0.0]), Some(1.0), "zeros can begin to move");
        for decay in [0.0, 0.5] {
            let step = Update { decay, ..half };
            assert_eq!(ratio(0.5, &step, &[0.0], &[3.0]), None, "no gradient to follow");
            assert_eq!(ratio(0.5, &step, &[0.0], &[0.0]), None);
        }
        assert!(ratio(0.5, &half, &[f32::NAN], &[3.0]).unwrap().is_nan(), "is seen, not left out");
    }
}
