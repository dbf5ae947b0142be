//! The plain loops that define every kernel's result, and run where there is no faster one.

use crate::philox::Stream;
use crate::planes::{Plane, TERNARY, WORD, WORDS, position, words};

use super::{LANES, Sums};

/// Random bits an element takes: with them and a half every number below is exact in f32's 24 bits.
pub(super) const BITS: u32 = 23;
pub(super) const UNIT: f32 = (1_u32 << BITS) as f32;

/// [`codec::encode`](crate::codec::encode), element by element.
pub(super) fn encode(
    values: &[f32],
    clip: f32,
    scale: f32,
    stream: &Stream,
    first_word: usize,
    planes: &mut [u64],
) {
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

/// [`codec::decode`](crate::codec::decode), plane by plane.
pub(super) fn decode(planes: &[u64], width: usize, first_word: usize, factor: f32, values: &mut [f32]) {
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

/// What [`Moments`](crate::codec::Moments) are made of.
pub(super) fn sums(values: &[f32]) -> Sums {
    let mut sums = Sums::default();
    values.chunks(LANES).for_each(|group| add_group(&mut sums, group));
    sums
}

/// Adds up to [`LANES`] values, each to its lane.
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

/// A ripple of full adders from plane to plane, 512 elements side by side. A number's sign plane stands for all planes
/// above it.
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
