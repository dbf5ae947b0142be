//! The inner loops of the forces, shared out by filter over the threads. Letters: N filters of d weights.
//!
//! Forces of l1 are pairwise, but the pairs are walked in blocks of filters, so that a filter that all of a block are drawn
//! to is read from memory once. Distances are sums of squared differences, not 2 - 2 w_i . w_j: near each other, where
//! filters are to end up, nothing of that would be left in float32.

use ternflock_tensor::{add_scaled, dot, for_each_row, rows, rows_mut, vectorise};

/// Filters of this length or less have no direction (`ForceRegularize` of the published code).
pub(super) const SHORTEST: f64 = 1e-4;

/// Directions as close as this, or closer, do not pull each other (ibid.).
pub(super) const NEAREST: f32 = 1e-4;

/// Filters that go through all others together.
const BLOCK: usize = 8;

/// Columns that a thread sums at a time.
const COLUMNS: usize = 256;

/// Unit vectors `w` and lengths of the filters in `weights`; zero of those too short.
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
        // A filter without a direction is all zero; lengths are asked for in `add`, which takes no force on one.
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

/// |a - b|, with sums in an order that depends on the number of elements alone.
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
