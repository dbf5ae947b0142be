//! The inner loops of the forces, distributed over threads by filter. Letters: N filters of d weights.
//!
//! The forces of l1 are pairwise. The pairs are processed in blocks of filters, so that a filter that acts on
//! a block is read from memory once. Distances are sums of squared differences, not 2 - 2 w_i . w_j: for
//! filters that are close together, which is the goal, the latter would lose all its digits in float32.

use ternflock_tensor::{add_scaled, dot, for_each_row, rows, rows_mut, vectorise};

/// Filters with at most this length have no direction (`ForceRegularize` of the published code).
pub(super) const SHORTEST: f64 = 1e-4;

/// There is no force between directions with at most this distance (ibid.).
pub(super) const NEAREST: f32 = 1e-4;

/// The number of filters in a block, which goes through all other filters together.
const BLOCK: usize = 8;

/// The number of columns that a thread sums at a time.
const COLUMNS: usize = 256;

/// Computes the unit vectors `w` and the lengths of the filters in `weights`; zero for filters that are too
/// short.
pub(super) fn directions(d: usize, weights: &[f32], w: &mut [f32], lengths: &mut [f32]) {
    let all = (rows(weights, d), rows_mut(w, d), rows_mut(lengths, 1));
    for_each_row(all, |_, (weights, w, length)| {
        let exact = dot(weights, weights).sqrt();
        if exact <= SHORTEST {
            w.fill(0.0);
            length[0] = 0.0;
            return;
        }
        let scale = 1.0 / exact;
        w.iter_mut().zip(weights).for_each(|(w, &weight)| *w = (f64::from(weight) * scale) as f32);
        length[0] = exact as f32;
    });
}

/// f_i = sum over j of w_j - N w_i: O(N d).
pub(super) fn linear(d: usize, w: &[f32], lengths: &[f32], sum: &mut [f32], forces: &mut [f32]) {
    for_each_row(rows_mut(sum, COLUMNS), |block, sum| {
        sum.fill(0.0);
        let (start, width) = (block * COLUMNS, sum.len());
        w.chunks_exact(d).for_each(|w| add_scaled(1.0, &w[start..start + width], sum));
    });
    let (sum, count) = (&*sum, lengths.iter().filter(|&&length| length > 0.0).count() as f32);
    for_each_row((rows_mut(forces, d), rows(w, d)), |_, (force, w)| {
        vectorise(
            #[inline(always)]
            || force.iter_mut().zip(sum).zip(w).for_each(|((f, sum), w)| *f = sum - count * w),
        );
    });
}

/// f_i = sum over j of (w_j - w_i) / |w_j - w_i|: O(N² d).
pub(super) fn constant(d: usize, w: &[f32], forces: &mut [f32]) {
    for_each_row((rows_mut(forces, BLOCK * d), rows(w, BLOCK * d)), |_, (forces, block)| {
        forces.fill(0.0);
        // The unit vector of a filter without a direction is zero. `add` checks lengths, and applies no force
        // to such a filter.
        for other in w.chunks_exact(d).filter(|other| other.iter().any(|&w| w != 0.0)) {
            for (force, w) in forces.chunks_exact_mut(d).zip(block.chunks_exact(d)) {
                let distance = distance(other, w);
                if distance > NEAREST {
                    pull(1.0 / distance, other, w, force);
                }
            }
        }
    });
}

/// |a - b|, with sums in an order that depends only on the number of elements.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 32;
    vectorise(
        #[inline(always)]
        || {
            let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
            let mut sums = [0.0f32; LANES];
            for (a, b) in a.iter().zip(b) {
                for lane in 0..LANES {
                    sums[lane] += (a[lane] - b[lane]) * (a[lane] - b[lane]);
                }
            }
            let rest = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b));
            sums.into_iter().chain(rest).sum::<f32>().sqrt()
        },
    )
}

/// `force += scale (other - w)`.
fn pull(scale: f32, other: &[f32], w: &[f32], force: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || force.iter_mut().zip(other).zip(w).for_each(|((f, other), w)| *f += scale * (other - w)),
    );
}

/// g_i += strength |W_i| (f - (f . w_i) w_i).
pub(super) fn add(
    d: usize,
    strength: f32,
    w: &[f32],
    lengths: &[f32],
    forces: &[f32],
    gradients: &mut [f32],
) {
    let read = (rows(w, d), rows(lengths, 1), rows(forces, d));
    for_each_row((read, rows_mut(gradients, d)), |_, ((w, length, force), gradient)| {
        if length[0] == 0.0 {
            return;
        }
        let (along, scale) = (dot(force, w) as f32, strength * length[0]);
        vectorise(
            #[inline(always)]
            || {
                let each = gradient.iter_mut().zip(force).zip(w);
                each.for_each(|((g, f), w)| *g += scale * (f - along * w));
            },
        );
    });
}
