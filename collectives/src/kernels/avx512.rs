//! Kernels with sixteen floats per instruction, for AVX-512 F, BW and DQ.

use std::arch::x86_64::*;

use super::draws::Generator;
use super::prefetch::prefetch;
use super::rounding::{Rounding, Thresholds};
use super::{LANES, Sums, portable};
use crate::planes::{WORD, WORDS, position};
use crate::random::Stream;

/// Floats per register.
const SIXTEEN: usize = 16;

#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
pub(super) fn sums(values: &[f32]) -> Sums {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut largest = _mm512_setzero_si512();
    let (mut sum, mut squares) = ([_mm512_setzero_pd(); 2], [_mm512_setzero_pd(); 2]);
    for group in groups {
        prefetch(group);
        let values = load(group, 0);
        largest = _mm512_max_epu32(largest, _mm512_castps_si512(_mm512_abs_ps(values)));
        let halves = [_mm512_castps512_ps256(values), _mm512_extractf32x8_ps::<1>(values)];
        // By index: with iterators, the compiler keeps the sums in memory.
        for half in 0..2 {
            let wide = _mm512_cvtps_pd(halves[half]);
            sum[half] = _mm512_add_pd(sum[half], wide);
            // The product is exact, so a fused operation gives the same bits.
            squares[half] = _mm512_fmadd_pd(wide, wide, squares[half]);
        }
    }
    let mut sums = Sums::default();
    // SAFETY: the array has the register's size, and the instruction needs no alignment.
    unsafe { _mm512_storeu_si512(sums.largest.as_mut_ptr().cast(), largest) };
    for (lanes, registers) in [(&mut sums.sum, sum), (&mut sums.squares, squares)] {
        for (lanes, register) in lanes.as_chunks_mut::<8>().0.iter_mut().zip(registers) {
            // SAFETY: as above.
            unsafe { _mm512_storeu_pd(lanes.as_mut_ptr(), register) };
        }
    }
    portable::add_group(&mut sums, rest);
    sums
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
pub(super) fn encode(
    values: &[f32],
    clip: f32,
    scale: f32,
    rounding: Rounding,
    first_word: usize,
    planes: &mut [u64],
) {
    let thresholds = Thresholds::new(clip, scale);
    match rounding.draws() {
        Some((stream, start)) if scale > 0.0 && thresholds.lift == 1.0 => {
            let (stochastic, mut draws) =
                (Stochastic::new(&thresholds, stream), Generator::new(stream, start));
            return portable::each_word(values, first_word, planes, |index, word| {
                stochastic.word(word, draws.word(index), start + index)
            });
        }
        None if scale > 0.0 => {
            return portable::each_word(values, first_word, planes, |_, word| {
                nearest_word(word, clip, scale)
            });
        }
        _ => {}
    }
    portable::encode(values, clip, scale, rounding, first_word, planes);
}

/// The registers for stochastic rounding of a tensor.
struct Stochastic<'a> {
    thresholds: &'a Thresholds,
    stream: &'a Stream,
    /// The factor from a magnitude to the upper 16 bits of its threshold, and the maximum of these.
    factor: __m512,
    limit: __m512,
}

impl<'a> Stochastic<'a> {
    /// For thresholds without a lift.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    fn new(thresholds: &'a Thresholds, stream: &'a Stream) -> Self {
        let (factor, limit) = thresholds.upper();
        Stochastic { thresholds, stream, factor: _mm512_set1_ps(factor), limit: _mm512_set1_ps(limit) }
    }

    /// The bits of the values of word `index` of the tensor, given the upper halves of its draws.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    fn word(&self, values: &[f32; WORD], draws: &[u16; WORD], index: usize) -> (u64, u64) {
        prefetch(values);
        let [a, b, c, d] = [load(values, 0), load(values, 1), load(values, 2), load(values, 3)];
        let high = [self.high(a, b), self.high(c, d)];
        let random = [0, 1].map(|half| {
            // SAFETY: 32 draws are a register, and the instruction needs no alignment.
            unsafe { _mm512_loadu_si512(draws[half * (WORD / 2)..].as_ptr().cast()) }
        });
        let ties = _mm512_cmpeq_epu16_mask(random[0], high[0]) | _mm512_cmpeq_epu16_mask(random[1], high[1]);
        if ties != 0 {
            return self.word_with_ties(values, draws, index);
        }
        let kept = [0, 1].map(|half| u64::from(_mm512_cmplt_epu16_mask(random[half], high[half])));
        let nonzero = kept[0] | kept[1] << (WORD / 2);
        (
            nonzero,
            nonzero & bits([a, b, c, d].map(|values| _mm512_movepi32_mask(_mm512_castps_si512(values)))),
        )
    }

    /// The upper 16 bits of the thresholds of 32 values.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    fn high(&self, first: __m512, second: __m512) -> __m512i {
        let integers = |values| {
            // The minimum with NaN is NaN, which is negative as an integer.
            let product = _mm512_mul_ps(_mm512_abs_ps(values), self.factor);
            _mm512_cvttps_epi32(_mm512_min_ps(self.limit, product))
        };
        // 2^16 is packed as 2^16 - 1, and negative numbers as 0. Each quarter of the register has four of
        // both inputs.
        let packed = _mm512_packus_epi32(integers(first), integers(second));
        _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), packed)
    }

    #[cold]
    fn word_with_ties(&self, values: &[f32; WORD], draws: &[u16; WORD], index: usize) -> (u64, u64) {
        portable::stochastic_word(values, self.thresholds, self.stream, draws, index)
    }
}

/// The bits of values rounded to the nearest.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn nearest_word(values: &[f32; WORD], clip: f32, scale: f32) -> (u64, u64) {
    let (clip, scale) = (_mm512_set1_ps(clip), _mm512_set1_ps(scale));
    let values = [load(values, 0), load(values, 1), load(values, 2), load(values, 3)];
    let nonzero = bits(values.map(|values| {
        // The minimum returns its second operand if either is NaN, like the portable kernel.
        let clipped = _mm512_min_ps(clip, _mm512_abs_ps(values));
        _mm512_cmp_ps_mask::<_CMP_GT_OQ>(_mm512_add_ps(clipped, clipped), scale)
    }));
    (nonzero, nonzero & bits(values.map(|values| _mm512_movepi32_mask(_mm512_castps_si512(values)))))
}

/// The masks of four registers, one after another.
fn bits(masks: [__mmask16; 4]) -> u64 {
    masks.into_iter().rev().fold(0, |bits, mask| bits << SIXTEEN | u64::from(mask))
}

/// A constant width lets the compiler unroll the loop over planes. Beyond 127 ranks, sums have more than 8
/// planes, and the portable loop handles them.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
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

#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn decode_word<const WIDTH: usize>(words: &[u64; WIDTH], factor: f32, values: &mut [f32; WORD]) {
    let factor = _mm512_set1_ps(factor);
    // A store also waits for its cache line.
    prefetch(values);
    for (quarter, values) in values.as_chunks_mut::<SIXTEEN>().0.iter_mut().enumerate() {
        let mut integers = _mm512_setzero_si512();
        for (plane, word) in words.iter().enumerate() {
            // The sign extends to all higher bits.
            let weight = if plane == WIDTH - 1 { -1 << plane } else { 1 << plane };
            let mask = (word >> (quarter * SIXTEEN)) as __mmask16;
            integers = _mm512_mask_or_epi32(integers, mask, integers, _mm512_set1_epi32(weight));
        }
        let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(integers), factor);
        // SAFETY: the array has the register's size, and the instruction needs no alignment.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), scaled) };
    }
}

/// The portable loop, compiled for registers of a plane.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
pub(super) fn add(a: &[u64], a_width: usize, b: &[u64], b_width: usize, sum: &mut [u64], sum_width: usize) {
    portable::add(a, a_width, b, b_width, sum, sum_width);
}

/// Floats `16 index ..` of `values`.
#[target_feature(enable = "avx512f")]
fn load<const N: usize>(values: &[f32; N], index: usize) -> __m512 {
    let values = &values.as_chunks::<SIXTEEN>().0[index];
    // SAFETY: the array has the register's size, and the instruction needs no alignment.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}
