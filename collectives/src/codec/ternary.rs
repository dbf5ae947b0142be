//! Gradients to ternaries by rounding, and sums of ternaries back to gradients.

use crate::kernels;
pub use crate::kernels::Rounding;

/// Rounds each of `values` to `scale` times -1, 0 or 1 and writes the ternaries into the payload `planes`, from
/// `first_word` on (a tensor's place in its [`Layout`](super::Layout)).
///
/// [`Rounding::Nearest`]: element `i` becomes non-zero if `2 m > scale`, with `m = min(|value|, clip)`, exactly.
///
/// [`Rounding::Stochastic`]: element `i` becomes non-zero if `u + 1/2 < t`, exactly, with `u` 32 random bits
/// and `t = m r` in f32, where `r` is `2^32 / scale` in f32, or the next f32 above if `scale r` would
/// otherwise not reach 2^32. (For scales below 2^-95, `scale` and `m` are first multiplied by 2^64, which is
/// exact.) The upper 16 bits of `u` are word `i` of 16 bits of the stream. The lower are word `2^34 + i`;
/// they are drawn only if the upper ones do not decide, on average for one element in 2^16. The probability
/// of a non-zero differs from `x = m / scale` by at most `3 2^-24 x + 2^-33`, and is 1 where `m` equals
/// `scale`.
///
/// `scale` must be the same on all ranks and at least `m` everywhere for the result to be unbiased; 0 makes
/// everything zero. `clip` may be infinite. Callers refuse NaN and infinities beforehand
/// ([`Moments::non_finite`](super::Moments::non_finite)); if one is passed anyway, NaN becomes 0, and an
/// infinity becomes the same as its clipped value.
///
/// Below 2^34 values: a stream has twice as many words of 16 bits. Only whole words are written; the elements of the
/// last one beyond `values` become zero.
///
/// # Panics
/// If the payload ends before the values do.
pub fn encode(
    values: &[f32],
    clip: f32,
    scale: f32,
    rounding: Rounding,
    first_word: usize,
    planes: &mut [u64],
) {
    kernels::best().encode(values, clip, scale, rounding, first_word, planes);
}

/// Writes `factor` times the integers that begin at `first_word` of the payload `planes` of `width` to `values`. With
/// `factor = scale / P` and sums over `P` ranks that is the mean gradient.
///
/// # Panics
/// If the payload ends before the values do.
pub fn decode(planes: &[u64], width: usize, first_word: usize, factor: f32, values: &mut [f32]) {
    kernels::best().decode(planes, width, first_word, factor, values);
}
