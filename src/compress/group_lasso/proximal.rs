//! The proximal step of group lasso (Parikh and Boyd, 2014, section 6.5.4): that of `strength ||w||`, at the rate at
//! which the parameters moved.
//!
//! A group whose elements all moved at one rate shrinks to `v max(0, 1 - rate strength / ||v||)`. Under LARS each
//! tensor has its own rate, and a group may span several tensors. The step is then the w that minimises
//!
//! ```text
//! strength ||w|| + sum over tensors t of ||w_t - v_t||^2 / (2 rate_t),
//! ```
//!
//! the same problem in the metric of the update (a diagonal one: Becker and Fadili, 2012, section 3). If w is not zero,
//! the gradient there is zero: `w_t = v_t s / (s + a_t)` with `a_t = rate_t strength`, and s = ||w|| solves
//! `sum over t of ||v_t||^2 / (s + a_t)^2 = 1`. There is such an s above 0 if and only if the sum is above 1 at s = 0;
//! otherwise w = 0. With one rate this is the formula above.
//!
//! A group is a set: an element that two of its views share belongs to the earlier view and is scaled once. Different
//! groups of one layer may overlap too (a recurrent weight reads one hidden unit and feeds another). All norms are
//! computed first, and an element of two groups is scaled by both.

use super::super::groups::{Groups, View};

/// Scratch space for the proximal steps of some groups.
pub struct Proximal {
    /// The square of the norm of the elements by view (if each view has its own rate) and group.
    squares: Vec<f64>,
    /// The factor of the elements, in the same layout.
    factors: Vec<f32>,
    /// Elements of one view that an earlier view has scaled.
    done: Vec<f32>,
}

impl Proximal {
    /// Scratch space that suffices for any of `groups`.
    pub fn new<'a>(groups: impl Iterator<Item = &'a Groups> + Clone) -> Proximal {
        let most = |size: fn(&Groups) -> usize| groups.clone().map(size).max().unwrap_or(0);
        let room = most(|groups| groups.views.len() * groups.count);
        Proximal {
            squares: vec![0.0; room],
            factors: vec![0.0; room],
            done: Vec::with_capacity(most(|groups| groups.shared.len())),
        }
    }

    /// Shrinks `groups` with these `strengths`; `rates` are by tensor of the table.
    pub fn shrink(&mut self, groups: &Groups, strengths: &[f64], rates: &[f64], values: &mut [f32]) {
        let rate = |view: &View| rates[view.tensor];
        let Some(first) = groups.views.first().map(rate) else { return };
        if groups.views.iter().all(|view| rate(view) == first) {
            self.at_one_rate(groups, strengths, first, values);
            return self.scale(groups, 0, values);
        }
        self.at_rates_of_views(groups, strengths, rates, values);
        self.scale(groups, groups.count, values);
    }

    /// Computes the factors that all views share.
    fn at_one_rate(&mut self, groups: &Groups, strengths: &[f64], rate: f64, values: &[f32]) {
        let squares = &mut self.squares[..groups.count];
        groups.squares(values, squares);
        for shared in &groups.shared {
            squares[shared.group] = without(squares[shared.group], values[shared.at]);
        }
        for ((factor, square), strength) in self.factors.iter_mut().zip(squares).zip(strengths) {
            let (norm, by) = (square.sqrt(), rate * strength);
            *factor = if norm <= by { 0.0 } else { (1.0 - by / norm) as f32 };
        }
    }

    /// The factors of each view, one view after the other.
    fn at_rates_of_views(&mut self, groups: &Groups, strengths: &[f64], rates: &[f64], values: &[f32]) {
        let count = groups.count;
        for (number, view) in groups.views.iter().enumerate() {
            let squares = &mut self.squares[number * count..][..count];
            squares.fill(0.0);
            view.add_squares(values, squares);
            for shared in groups.shared_of(number) {
                squares[shared.group] = without(squares[shared.group], values[shared.at]);
            }
        }
        for (group, strength) in strengths.iter().enumerate() {
            let (squares, views) = (&self.squares, groups.views.iter().enumerate());
            let parts =
                views.map(|(number, view)| (squares[number * count + group], rates[view.tensor] * strength));
            let length = length_after(parts.clone());
            for (number, (_, by)) in parts.enumerate() {
                let is_still = by == 0.0;
                self.factors[number * count + group] =
                    if is_still { 1.0 } else { (length / (length + by)) as f32 };
            }
        }
    }

    /// Scales each element once. The factors of a view begin `stride` after those of the previous view.
    fn scale(&mut self, groups: &Groups, stride: usize, values: &mut [f32]) {
        for (number, view) in groups.views.iter().enumerate() {
            let shared = groups.shared_of(number);
            self.done.clear();
            self.done.extend(shared.iter().map(|shared| values[shared.at]));
            view.scale(&self.factors[number * stride..][..groups.count], values);
            shared.iter().zip(&self.done).for_each(|(shared, &done)| values[shared.at] = done);
        }
    }
}

/// Removes one of two squares of `value` from a sum of squares. The other one stays, so there is no cancellation.
fn without(sum: f64, value: f32) -> f64 {
    if value.is_finite() { sum - f64::from(value) * f64::from(value) } else { sum }
}

/// The norm of a group after the step: the solution s of sum over t of q_t / (s + a_t)^2 = 1 for parts (q_t, a_t), or 0
/// if there is none.
///
/// This uses Newton's method, from below, on the reciprocal of the square root of the sum, which is concave
/// in s (Moré and Sorensen, 1983, section 3). It approaches s without overshooting; with a single a, the
/// first step reaches it. All ranks perform the same operations.
fn length_after(parts: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    const MOST_STEPS: usize = 64;
    let parts = parts.filter(|&(square, _)| square != 0.0);
    let at_zero: f64 = parts.clone().map(|(square, by)| square / (by * by)).sum();
    if at_zero <= 1.0 {
        return 0.0;
    }
    let (total, most) = parts.clone().fold((0.0, 0.0f64), |(sum, most), (q, a)| (sum + q, most.max(a)));
    let below = parts.clone().map(|(square, by)| square.sqrt() - by);
    let mut length = below.fold((total.sqrt() - most).max(0.0), f64::max);
    for _ in 0..MOST_STEPS {
        let (mut sum, mut slope) = (0.0, 0.0);
        for (square, by) in parts.clone() {
            let part = square / ((length + by) * (length + by));
            sum += part;
            slope += part / (length + by);
        }
        let step = sum * (sum.sqrt() - 1.0) / slope;
        length += step.max(0.0);
        if step <= f64::EPSILON * length {
            break;
        }
    }
    length
}
