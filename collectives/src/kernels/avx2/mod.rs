//! Kernels with eight floats per instruction.

mod decode;

use std::arch::x86_64::*;

pub(super) use self::decode::decode;
use super::draws::Generator;
use super::prefetch::prefetch;
use super::rounding::{Rounding, Thresholds};
use super::{LANES, Sums, portable};
use crate::planes::WORD;
use crate::random::Stream;

/// Floats per register.
const EIGHT: usize = 8;

#[target_feature(enable = "avx2")]
pub(super) fn sums(values: &[f32]) -> Sums {
    let (groups, rest) = values.as_chunks::<LANES>();
    let magnitude = _mm256_set1_epi32(i32::MAX);
    let mut largest = [_mm256_setzero_si256(); LANES / EIGHT];
    let (mut sum, mut squares) = ([_mm256_setzero_pd(); LANES / 4], [_mm256_setzero_pd(); LANES / 4]);
    for group in groups {
        prefetch(group);
        for (half, largest) in largest.iter_mut().enumerate() {
            let magnitudes = _mm256_and_si256(_mm256_castps_si256(load(group, half)), magnitude);
            *largest = _mm256_max_epu32(*largest, magnitudes);
        }
        for ((quarter, sum), squares) in group.as_chunks::<4>().0.iter().zip(&mut sum).zip(&mut squares) {
            let wide = _mm256_cvtps_pd(load_four(quarter));
            *sum = _mm256_add_pd(*sum, wide);
            *squares = _mm256_add_pd(*squares, _mm256_mul_pd(wide, wide));
        }
    }
    let mut sums = Sums::default();
    for (lanes, register) in sums.largest.as_chunks_mut::<EIGHT>().0.iter_mut().zip(largest) {
        // SAFETY: the array has the register's size, and the instruction needs no alignment.
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
    factor: __m256,
    limit: __m256,
}

impl<'a> Stochastic<'a> {
    /// For thresholds without a lift.
    #[target_feature(enable = "avx2")]
    fn new(thresholds: &'a Thresholds, stream: &'a Stream) -> Self {
        let (factor, limit) = thresholds.upper();
        Stochastic { thresholds, stream, factor: _mm256_set1_ps(factor), limit: _mm256_set1_ps(limit) }
    }

    /// The bits of the values of word `index` of the tensor, given the upper halves of its draws.
    #[target_feature(enable = "avx2")]
    fn word(&self, values: &[f32; WORD], draws: &[u16; WORD], index: usize) -> (u64, u64) {
        prefetch(values);
        let halves = values.as_chunks::<{ WORD / 2 }>().0;
        let compare = |half: usize| {
            let (high, random) = (2 * half, draws[half * (WORD / 2)..].as_chunks::<16>().0);
            let high = [self.upper(values, high), self.upper(values, high + 1)];
            compare(&halves[half], high, [packed(&random[0]), packed(&random[1])])
        };
        let (first, second) = (compare(0), compare(1));
        if _mm256_testz_si256(first.ties, first.ties) & _mm256_testz_si256(second.ties, second.ties) == 0 {
            return self.word_with_ties(values, draws, index);
        }
        (
            u64::from(first.nonzero) | u64::from(second.nonzero) << (WORD / 2),
            u64::from(first.negative) | u64::from(second.negative) << (WORD / 2),
        )
    }

    /// The upper 16 bits of the thresholds of values `16 index ..`, in the order of `_mm256_packus_epi32`.
    /// 2^16 becomes 2^16 - 1: every draw except a tie is below it.
    #[target_feature(enable = "avx2")]
    fn upper(&self, values: &[f32; WORD], index: usize) -> __m256i {
        _mm256_packus_epi32(self.high(load(values, 2 * index)), self.high(load(values, 2 * index + 1)))
    }

    /// The upper 16 bits of the thresholds, or 2^16. NaN gives a negative number, which is packed as 0.
    #[target_feature(enable = "avx2")]
    fn high(&self, values: __m256) -> __m256i {
        let magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
        // The minimum returns its second operand if that is NaN.
        let product = _mm256_mul_ps(_mm256_and_ps(values, magnitude), self.factor);
        _mm256_cvttps_epi32(_mm256_min_ps(self.limit, product))
    }

    #[cold]
    fn word_with_ties(&self, values: &[f32; WORD], draws: &[u16; WORD], index: usize) -> (u64, u64) {
        portable::stochastic_word(values, self.thresholds, self.stream, draws, index)
    }
}

/// The bits of 32 values, unless there are ties.
struct Bits {
    nonzero: u32,
    negative: u32,
    ties: __m256i,
}

/// Compares the upper halves of the thresholds of `values` with random words.
#[target_feature(enable = "avx2")]
fn compare(values: &[f32; WORD / 2], high: [__m256i; 2], random: [__m256i; 2]) -> Bits {
    let ties =
        _mm256_or_si256(_mm256_cmpeq_epi16(high[0], random[0]), _mm256_cmpeq_epi16(high[1], random[1]));
    // Not below. Without a tie, this means above.
    let kept = _mm256_packs_epi16(
        _mm256_cmpeq_epi16(_mm256_max_epu16(high[0], random[0]), high[0]),
        _mm256_cmpeq_epi16(_mm256_max_epu16(high[1], random[1]), high[1]),
    );
    let signs =
        _mm256_packs_epi16(signs(load(values, 0), load(values, 1)), signs(load(values, 2), load(values, 3)));
    Bits { nonzero: in_order(kept), negative: in_order(_mm256_and_si256(kept, signs)), ties }
}

/// The signs of both in 16 bits each, in the order of `_mm256_packus_epi32`.
#[target_feature(enable = "avx2")]
fn signs(a: __m256, b: __m256) -> __m256i {
    _mm256_packs_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b))
}

/// The highest bits of bytes that were packed twice, in their original order.
#[target_feature(enable = "avx2")]
fn in_order(bytes: __m256i) -> u32 {
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_movemask_epi8(_mm256_permutevar8x32_epi32(bytes, order)) as u32
}

/// The bits of values rounded to the nearest.
#[target_feature(enable = "avx2")]
fn nearest_word(values: &[f32; WORD], clip: f32, scale: f32) -> (u64, u64) {
    let (clip, scale) = (_mm256_set1_ps(clip), _mm256_set1_ps(scale));
    let magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
    let (mut nonzero, mut negative) = (0, 0);
    for index in 0..WORD / EIGHT {
        let values = load(values, index);
        // The minimum returns its second operand if either is NaN, like the portable kernel.
        let clipped = _mm256_min_ps(clip, _mm256_and_ps(values, magnitude));
        let kept = _mm256_cmp_ps::<_CMP_GT_OQ>(_mm256_add_ps(clipped, clipped), scale);
        nonzero |= u64::from(_mm256_movemask_ps(kept) as u32) << (EIGHT * index);
        // A kept value is not zero, so its sign bit means that it is negative.
        negative |= u64::from(_mm256_movemask_ps(_mm256_and_ps(kept, values)) as u32) << (EIGHT * index);
    }
    (nonzero, negative)
}

/// The portable loop, compiled for registers of four words.
#[target_feature(enable = "avx2")]
pub(super) fn add(a: &[u64], a_width: usize, b: &[u64], b_width: usize, sum: &mut [u64], sum_width: usize) {
    portable::add(a, a_width, b, b_width, sum, sum_width);
}

/// Sixteen draws in the order of `_mm256_packus_epi32`.
#[target_feature(enable = "avx2")]
fn packed(draws: &[u16; 16]) -> __m256i {
    // SAFETY: the array has the register's size, and the instruction needs no alignment.
    _mm256_permute4x64_epi64::<0b11_01_10_00>(unsafe { _mm256_loadu_si256(draws.as_ptr().cast()) })
}

/// Floats `8 index ..` of `values`.
#[target_feature(enable = "avx2")]
fn load<const N: usize>(values: &[f32; N], index: usize) -> __m256 {
    let values = &values.as_chunks::<EIGHT>().0[index];
    // SAFETY: the array has the register's size, and the instruction needs no alignment.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx2")]
fn load_four(values: &[f32; 4]) -> __m128 {
    // SAFETY: as above.
    unsafe { _mm_loadu_ps(values.as_ptr()) }
}
