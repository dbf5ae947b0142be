//! Gradients to ternaries by stochastic rounding, and sums of ternaries back to gradients.

use crate::philox::Stream;
use crate::planes::{TERNARY, WORD, WORDS, position};

/// Random bits an element takes: with them and a half every number below is exact in f32's 24 bits.
const BITS: u32 = 23;
const UNIT: f32 = (1_u32 << BITS) as f32;

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
/// Below 2^34 values, as many as a stream has words. Only whole words are written; the elements of the last one beyond `values` become zero.
///
/// # Panics
/// If the payload ends before the values do.
pub fn encode(values: &[f32], clip: f32, scale: f32, stream: &Stream, first_word: usize, planes: &mut [u64]) {
    for (index, group) in values.chunks(WORD).enumerate() {
        let (nonzero, negative) =
            if scale > 0.0 { encode_word(group, clip, scale, stream, index * (WORD / 4)) } else { (0, 0) };
        let at = position(first_word + index, TERNARY);
        planes[at] = nonzero;
        planes[at + WORDS] = negative;
    }
}

/// The non-zero and the negative bits of up to 64 values, which take their random words from block `first` on.
fn encode_word(values: &[f32], clip: f32, scale: f32, stream: &Stream, first: usize) -> (u64, u64) {
    let (mut nonzero, mut negative) = (0, 0);
    for (quarter, four) in values.chunks(4).enumerate() {
        let random = stream.block((first + quarter) as u32);
        for (lane, (value, random)) in four.iter().zip(random).enumerate() {
            let magnitude = value.abs();
            // Not `f32::min`, which would make a number of NaN; and a division, as the reciprocal of a denormal scale
            // is infinite.
            let x = if clip < magnitude { clip } else { magnitude } / scale;
            let kept = ((random >> (u32::BITS - BITS)) as f32 + 0.5) < x * UNIT;
            let bit = 4 * quarter + lane;
            nonzero |= u64::from(kept) << bit;
            negative |= u64::from(kept && *value < 0.0) << bit;
        }
    }
    (nonzero, negative)
}

/// Writes `factor` times the integers that begin at `first_word` of the payload `planes` of `width` to `values`. With
/// `factor = scale / P` and sums over `P` ranks that is the mean gradient.
///
/// # Panics
/// If the payload ends before the values do.
pub fn decode(planes: &[u64], width: usize, first_word: usize, factor: f32, values: &mut [f32]) {
    for (index, group) in values.chunks_mut(WORD).enumerate() {
        let integers = decode_word(planes, width, position(first_word + index, width));
        for (value, integer) in group.iter_mut().zip(integers) {
            *value = integer as f32 * factor;
        }
    }
}

/// The 64 integers whose word of plane 0 is at `at`.
fn decode_word(planes: &[u64], width: usize, at: usize) -> [i32; WORD] {
    let mut integers = [0; WORD];
    for plane in 0..width {
        let word = planes[at + plane * WORDS];
        let weight = if plane == width - 1 { -1 << plane } else { 1 << plane };
        for (bit, integer) in integers.iter_mut().enumerate() {
            *integer += (word >> bit & 1) as i32 * weight;
        }
    }
    integers
}
