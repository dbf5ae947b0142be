//! Eight floats, or four random blocks, an instruction.

use std::arch::x86_64::*;

use super::portable::{self, BITS, UNIT};
use super::{LANES, Sums};
use crate::philox::{Lanes, Stream};
use crate::planes::{TERNARY, WORD, WORDS, position};

/// Floats of a register.
const EIGHT: usize = 8;

#[target_feature(enable = "avx2")]
pub(super) fn sums(values: &[f32]) -> Sums {
    let (groups, rest) = values.as_chunks::<LANES>();
    let magnitude = _mm256_set1_epi32(i32::MAX);
    let mut largest = [_mm256_setzero_si256(); LANES / EIGHT];
    let (mut sum, mut squares) = ([_mm256_setzero_pd(); LANES / 4], [_mm256_setzero_pd(); LANES / 4]);
    for group in groups {
        for (half, largest) in group.as_chunks::<EIGHT>().0.iter().zip(&mut largest) {
            *largest =
                _mm256_max_epu32(*largest, _mm256_and_si256(_mm256_castps_si256(load(half)), magnitude));
        }
        for ((quarter, sum), squares) in group.as_chunks::<4>().0.iter().zip(&mut sum).zip(&mut squares) {
            let wide = _mm256_cvtps_pd(load_four(quarter));
            *sum = _mm256_add_pd(*sum, wide);
            *squares = _mm256_add_pd(*squares, _mm256_mul_pd(wide, wide));
        }
    }
    let mut sums = Sums::default();
    for (lanes, register) in sums.largest.as_chunks_mut::<EIGHT>().0.iter_mut().zip(largest) {
        // SAFETY: the array has the register's size, and the instruction asks for no alignment.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), register) };
    }
    for (lanes, registers) in [(&mut sums.sum, sum), (&mut sums.squares, squares)] {
        for (lanes, register) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(registers) {
            // SAFETY: as above.
            unsafe { _mm256_storeu_pd(lanes.as_mut_ptr(), register) };
        }
    }
    portable::add_group(&mut sums, rest);
    sums
}

#[target_feature(enable = "avx2")]
pub(super) fn encode(
    values: &[f32],
    clip: f32,
    scale: f32,
    stream: &Stream,
    first_word: usize,
    planes: &mut [u64],
) {
    if scale <= 0.0 || scale.is_nan() {
        return portable::encode(values, clip, scale, stream, first_word, planes);
    }
    let (words, rest) = values.as_chunks::<WORD>();
    let random = Philox::new(stream.lanes());
    for (index, word) in words.iter().enumerate() {
        let bits = encode_word(word, clip, scale, &random, (index * (WORD / 4)) as u32);
        put(planes, first_word + index, bits);
    }
    if !rest.is_empty() {
        // Zeros are never kept.
        let mut word = [0.0; WORD];
        word[..rest.len()].copy_from_slice(rest);
        let bits = encode_word(&word, clip, scale, &random, (words.len() * (WORD / 4)) as u32);
        put(planes, first_word + words.len(), bits);
    }
}

/// Writes the non-zero and the negative bits of word `word` of the planes.
fn put(planes: &mut [u64], word: usize, (nonzero, negative): (u64, u64)) {
    let at = position(word, TERNARY);
    planes[at] = nonzero;
    planes[at + WORDS] = negative;
}

#[target_feature(enable = "avx2")]
fn encode_word(values: &[f32; WORD], clip: f32, scale: f32, random: &Philox, block: u32) -> (u64, u64) {
    let (clip, scale) = (_mm256_set1_ps(clip), _mm256_set1_ps(scale));
    let (half, unit) = (_mm256_set1_ps(0.5), _mm256_set1_ps(UNIT));
    let magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
    let (mut nonzero, mut negative) = (0, 0);
    for (part, values) in values.as_chunks::<{ 4 * EIGHT }>().0.iter().enumerate() {
        let words = random.eight_blocks(block.wrapping_add((part * EIGHT) as u32));
        for (index, (values, words)) in values.as_chunks::<EIGHT>().0.iter().zip(words).enumerate() {
            let values = load(values);
            // The minimum returns its second operand where either is NaN, as the portable kernel does.
            let clipped = _mm256_min_ps(clip, _mm256_and_ps(values, magnitude));
            let x = _mm256_mul_ps(_mm256_div_ps(clipped, scale), unit);
            let u = _mm256_cvtepi32_ps(_mm256_srli_epi32::<{ (u32::BITS - BITS) as i32 }>(words));
            let kept = _mm256_cmp_ps::<_CMP_LT_OQ>(_mm256_add_ps(u, half), x);
            let shift = EIGHT * (4 * part + index);
            nonzero |= u64::from(_mm256_movemask_ps(kept) as u32) << shift;
            // What is kept is not zero, so its sign bit says that it is negative.
            negative |= u64::from(_mm256_movemask_ps(_mm256_and_ps(kept, values)) as u32) << shift;
        }
    }
    (nonzero, negative)
}

/// A constant width lets the loop over planes be unrolled; beyond 127 ranks, where sums take more than 8 planes, the
/// portable loop does.
#[target_feature(enable = "avx2")]
pub(super) fn decode(planes: &[u64], width: usize, first_word: usize, factor: f32, values: &mut [f32]) {
    match width {
        2 => decode_planes::<2>(planes, first_word, factor, values),
        3 => decode_planes::<3>(planes, first_word, factor, values),
        4 => decode_planes::<4>(planes, first_word, factor, values),
        5 => decode_planes::<5>(planes, first_word, factor, values),
        6 => decode_planes::<6>(planes, first_word, factor, values),
        7 => decode_planes::<7>(planes, first_word, factor, values),
        8 => decode_planes::<8>(planes, first_word, factor, values),
        _ => portable::decode(planes, width, first_word, factor, values),
    }
}

#[target_feature(enable = "avx2")]
fn decode_planes<const WIDTH: usize>(planes: &[u64], first_word: usize, factor: f32, values: &mut [f32]) {
    for (index, values) in values.chunks_mut(WORD).enumerate() {
        let at = position(first_word + index, WIDTH);
        let mut words = [0; WIDTH];
        for (plane, word) in words.iter_mut().enumerate() {
            *word = planes[at + plane * WORDS];
        }
        if let Ok(values) = <&mut [f32; WORD]>::try_from(&mut *values) {
            decode_word(&words, factor, values);
        } else {
            let mut whole = [0.0; WORD];
            decode_word(&words, factor, &mut whole);
            values.copy_from_slice(&whole[..values.len()]);
        }
    }
}

/// The 64 values whose planes are `words`.
#[target_feature(enable = "avx2")]
fn decode_word<const WIDTH: usize>(words: &[u64; WIDTH], factor: f32, values: &mut [f32; WORD]) {
    let factor = _mm256_set1_ps(factor);
    let one = _mm256_set1_epi32(1);
    let unused = 32 - WIDTH as i32;
    for (half, values) in values.as_chunks_mut::<{ WORD / 2 }>().0.iter_mut().enumerate() {
        // The bit that belongs to a lane.
        let mut lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        for values in values.as_chunks_mut::<EIGHT>().0 {
            let mut integers = _mm256_setzero_si256();
            // From the sign down, so that each step makes room for one more bit.
            for plane in (0..WIDTH).rev() {
                let word = _mm256_set1_epi32((words[plane] >> (half * WORD / 2)) as i32);
                let bits = _mm256_and_si256(_mm256_srlv_epi32(word, lane), one);
                integers = _mm256_or_si256(_mm256_add_epi32(integers, integers), bits);
            }
            lane = _mm256_add_epi32(lane, _mm256_set1_epi32(EIGHT as i32));
            // The highest bit to the register's, and back with its sign.
            let unused = _mm_cvtsi32_si128(unused);
            let integers = _mm256_sra_epi32(_mm256_sll_epi32(integers, unused), unused);
            let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(integers), factor);
            // SAFETY: the array has the register's size, and the instruction asks for no alignment.
            unsafe { _mm256_storeu_ps(values.as_mut_ptr(), scaled) };
        }
    }
}

/// The portable loop, compiled for registers of four words.
#[target_feature(enable = "avx2")]
pub(super) fn add(a: &[u64], a_width: usize, b: &[u64], b_width: usize, sum: &mut [u64], sum_width: usize) {
    portable::add(a, a_width, b, b_width, sum, sum_width);
}

/// The generator of [`philox`](crate::philox), four blocks a register: a word of each in the lower half of a 64-bit
/// lane. Upper halves hold whatever the multiplications left there; no instruction below looks at them.
struct Philox {
    counter: [__m256i; 3],
    keys: [[__m256i; 2]; 10],
    multiply: [__m256i; 2],
}

impl Philox {
    #[target_feature(enable = "avx2")]
    fn new(lanes: Lanes) -> Self {
        let all = |word: u32| _mm256_set1_epi64x(i64::from(word));
        Philox {
            counter: lanes.counter.map(all),
            keys: lanes.keys.map(|key| key.map(all)),
            multiply: lanes.multiply.map(all),
        }
    }

    /// Words `4 block .. 4 block + 32` of the stream, in order.
    #[target_feature(enable = "avx2")]
    fn eight_blocks(&self, block: u32) -> [__m256i; 4] {
        // In this order the transposition below leaves the words in the order of the stream.
        let first = _mm256_set1_epi64x(i64::from(block));
        let even = self.four_blocks(_mm256_add_epi32(first, _mm256_setr_epi64x(0, 2, 1, 3)));
        let odd = self.four_blocks(_mm256_add_epi32(first, _mm256_setr_epi64x(4, 6, 5, 7)));
        // Of each word: that of blocks 0 2 4 6 in the lower half, that of blocks 1 3 5 7 in the upper.
        let [w0, w1, w2, w3] = [
            lower_halves(even[0], odd[0]),
            lower_halves(even[1], odd[1]),
            lower_halves(even[2], odd[2]),
            lower_halves(even[3], odd[3]),
        ];
        let (low01, high01) = (_mm256_unpacklo_epi32(w0, w1), _mm256_unpackhi_epi32(w0, w1));
        let (low23, high23) = (_mm256_unpacklo_epi32(w2, w3), _mm256_unpackhi_epi32(w2, w3));
        [
            _mm256_unpacklo_epi64(low01, low23),
            _mm256_unpackhi_epi64(low01, low23),
            _mm256_unpacklo_epi64(high01, high23),
            _mm256_unpackhi_epi64(high01, high23),
        ]
    }

    #[target_feature(enable = "avx2")]
    fn four_blocks(&self, blocks: __m256i) -> [__m256i; 4] {
        let [mut c0, mut c1, mut c2, mut c3] = [blocks, self.counter[0], self.counter[1], self.counter[2]];
        for key in &self.keys {
            let a = _mm256_mul_epu32(self.multiply[0], c0);
            let b = _mm256_mul_epu32(self.multiply[1], c2);
            c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64::<32>(b), c1), key[0]);
            c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64::<32>(a), c3), key[1]);
            (c1, c3) = (b, a);
        }
        [c0, c1, c2, c3]
    }
}

/// The lower halves of the lanes of `a` and of `b`, in each half of the register those of `a` first.
#[target_feature(enable = "avx2")]
fn lower_halves(a: __m256i, b: __m256i) -> __m256i {
    _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)))
}

#[target_feature(enable = "avx2")]
fn load(values: &[f32; EIGHT]) -> __m256 {
    // SAFETY: the array has the register's size, and the instruction asks for no alignment.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx2")]
fn load_four(values: &[f32; 4]) -> __m128 {
    // SAFETY: as above.
    unsafe { _mm_loadu_ps(values.as_ptr()) }
}
