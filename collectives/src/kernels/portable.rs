//! The plain loops that define the results of all kernels, and run on machines without faster ones.

use super::draws::Generator;
use super::rounding::{self, Rounding, Thresholds};
use super::{LANES, Sums};
use crate::planes::{Plane, TERNARY, WORD, WORDS, position, words};
use crate::random::Stream;

/// [`codec::encode`](crate::codec::encode), element by element.
pub(super) fn encode(
    values: &[f32],
    clip: f32,
    scale: f32,
    rounding: Rounding,
    first_word: usize,
    planes: &mut [u64],
) {
    let thresholds = Thresholds::new(clip, scale);
    if scale <= 0.0 || scale.is_nan() {
        return each_word(values, first_word, planes, |_, _| (0, 0));
    }
    match rounding.draws() {
        Some((stream, start)) => {
            let mut draws = Generator::portable(stream, start);
            each_word(values, first_word, planes, |index, values| {
                stochastic_word(values, &thresholds, stream, draws.word(index), start + index)
            });
        }
        None => each_word(values, first_word, planes, |_, values| {
            ternaries(values, |_, value| rounding::nearest(value, clip, scale))
        }),
    }
}

/// Writes the non-zero and the negative bits that `bits` computes for each 64 of `values`. The last 64 are
/// padded with zeros, which are never kept.
#[inline(always)]
pub(super) fn each_word(
    values: &[f32],
    first_word: usize,
    planes: &mut [u64],
    mut bits: impl FnMut(usize, &[f32; WORD]) -> (u64, u64),
) {
    let mut filled = [0.0; WORD];
    for (index, values) in values.chunks(WORD).enumerate() {
        // This is one call, so that the compiler moves the constants out of the loop.
        let word = <&[f32; WORD]>::try_from(values).unwrap_or_else(|_| {
            filled[..values.len()].copy_from_slice(values);
            &filled
        });
        let (nonzero, negative) = bits(index, word);
        let at = position(first_word + index, TERNARY);
        planes[at] = nonzero;
        planes[at + WORDS] = negative;
    }
}

/// The non-zero and the negative bits of the values of word `word` of a tensor, given the upper halves of its draws.
pub(super) fn stochastic_word(
    values: &[f32; WORD],
    thresholds: &Thresholds,
    stream: &Stream,
    draws: &[u16; WORD],
    word: usize,
) -> (u64, u64) {
    ternaries(values, |bit, value| thresholds.keep(value, draws[bit], stream, (word * WORD + bit) as u64))
}

/// The non-zero and the negative bits of values, if those for which `keep` returns true are kept.
#[inline]
fn ternaries(values: &[f32; WORD], keep: impl Fn(usize, f32) -> bool) -> (u64, u64) {
    let (mut nonzero, mut negative) = (0, 0);
    for (bit, value) in values.iter().enumerate() {
        let kept = keep(bit, *value);
        nonzero |= u64::from(kept) << bit;
        negative |= u64::from(kept && *value < 0.0) << bit;
    }
    (nonzero, negative)
}

/// [`codec::decode`](crate::codec::decode), plane by plane.
pub(super) fn decode(planes: &[u64], width: usize, first_word: usize, factor: f32, values: &mut [f32]) {
    for (index, group) in values.chunks_mut(WORD).enumerate() {
        let integers = decode_word(planes, width, position(first_word + index, width));
        for (value, integer) in group.iter_mut().zip(integers) {
            *value = integer as f32 * factor;
        }
    }
}

/// The 64 integers whose word in plane 0 is at `at`.
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

/// The sums for [`Moments`](crate::codec::Moments).
pub(super) fn sums(values: &[f32]) -> Sums {
    let mut sums = Sums::default();
    values.chunks(LANES).for_each(|group| add_group(&mut sums, group));
    sums
}

/// Adds at most [`LANES`] values, each to its lane.
pub(super) fn add_group(sums: &mut Sums, group: &[f32]) {
    for (lane, value) in group.iter().enumerate() {
        sums.largest[lane] = sums.largest[lane].max(value.abs().to_bits());
        let wide = f64::from(*value);
        sums.sum[lane] += wide;
        // The product is exact, so that a fused multiply-add gives the same bits.
        sums.squares[lane] += wide * wide;
    }
}

/// [`Kernels::add`](super::Kernels::add), block by block.
#[inline(always)]
pub(super) fn add(a: &[u64], a_width: usize, b: &[u64], b_width: usize, sum: &mut [u64], sum_width: usize) {
    let a = a.chunks_exact(words(1, a_width));
    let b = b.chunks_exact(words(1, b_width));
    for ((a, b), sum) in a.zip(b).zip(sum.chunks_exact_mut(words(1, sum_width))) {
        add_block(a.as_chunks().0, b.as_chunks().0, sum.as_chunks_mut().0);
    }
}

/// A ripple-carry adder from plane to plane, for 512 elements in parallel. The sign plane of a number extends
/// to all planes above it.
#[inline(always)]
fn add_block(a: &[Plane], b: &[Plane], sum: &mut [Plane]) {
    let mut carry = [0; WORDS];
    for (plane, sum) in sum.iter_mut().enumerate() {
        let (a, b) = (&a[plane.min(a.len() - 1)], &b[plane.min(b.len() - 1)]);
        for word in 0..WORDS {
            let either = a[word] ^ b[word];
            sum[word] = either ^ carry[word];
            carry[word] = a[word] & b[word] | either & carry[word];
        }
    }
}
