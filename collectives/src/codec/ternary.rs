//! Gradients to ternaries by stochastic rounding, and sums of ternaries back to gradients.

use crate::kernels;
use crate::philox::Stream;

/// Rounds each of `values` to `scale` times -1, 0 or 1 and writes the ternaries into the payload `planes`, from
/// `first_word` on (a tensor's place in its [`Layout`](super::Layout)).
///
/// Element `i` becomes non-zero if `(u + 1/2) / 2^23 < x`, with `u` the top 23 bits of word `i` of `stream` and
/// `x = min(|value|, clip) / scale` in f32. Both sides scaled by 2^23 are exact, so the probability of a non-zero is
/// `x` rounded to a multiple of 2^-23 (and 1 from there on up): its mean is off by at most 2^-24 of the scale.
///
/// `scale` must be the same on all ranks and at least `min(|value|, clip)` everywhere for the result to be unbiased;
/// 0 makes everything zero. `clip` may be infinite. Callers refuse NaN and infinities beforehand
/// ([`Moments::non_finite`](super::Moments::non_finite)); should one come here, NaN becomes 0 and an infinity what its
/// clipped value would.
///
/// Below 2^34 values, as many as a stream has words. Only whole words are written; the elements of the last one beyond
/// `values` become zero.
///
/// # Panics
/// If the payload ends before the values do.
pub fn encode(values: &[f32], clip: f32, scale: f32, stream: &Stream, first_word: usize, planes: &mut [u64]) {
    kernels::best().encode(values, clip, scale, stream, first_word, planes);
}

/// Writes `factor` times the integers that begin at `first_word` of the payload `planes` of `width` to `values`. With
/// `factor = scale / P` and sums over `P` ranks that is the mean gradient.
///
/// # Panics
/// If the payload ends before the values do.
pub fn decode(planes: &[u64], width: usize, first_word: usize, factor: f32, values: &mut [f32]) {
    kernels::best().decode(planes, width, first_word, factor, values);
}
