//! Converts bit planes to floats, via bytes.

use std::arch::x86_64::*;
use std::hint::black_box;

use super::EIGHT;
use crate::kernels::portable;
use crate::kernels::prefetch::prefetch;
use crate::planes::{WORD, WORDS, position};

/// A constant width lets the compiler unroll the loop over planes. Beyond 127 ranks, sums have more than 8
/// planes, and the portable loop handles them.
#[target_feature(enable = "avx2")]
pub(in crate::kernels) fn decode(
    planes: &[u64],
    width: usize,
    first_word: usize,
    factor: f32,
    values: &mut [f32],
) {
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
    let unpack = Unpack::<WIDTH>::new();
    let factor = _mm256_set1_ps(factor);
    let decode_word = |words: &[u64], values: &mut [f32; WORD]| {
        // A store also waits for its cache line.
        prefetch(values);
        for (half, values) in values.as_chunks_mut::<{ WORD / 2 }>().0.iter_mut().enumerate() {
            let floats = unpack.floats(unpack.bytes(words, half));
            for (values, floats) in values.as_chunks_mut::<EIGHT>().0.iter_mut().zip(floats) {
                // SAFETY: the array has the register's size, and the instruction needs no alignment.
                unsafe { _mm256_storeu_ps(values.as_mut_ptr(), _mm256_mul_ps(floats, factor)) };
            }
        }
    };
    for (index, values) in values.chunks_mut(WORD).enumerate() {
        let words = &planes[position(first_word + index, WIDTH)..][..(WIDTH - 1) * WORDS + 1];
        if let Ok(values) = <&mut [f32; WORD]>::try_from(&mut *values) {
            decode_word(words, values);
        } else {
            let mut whole = [0.0; WORD];
            decode_word(words, &mut whole);
            values.copy_from_slice(&whole[..values.len()]);
        }
    }
}

/// Converts one word of each plane, at distances of [`WORDS`], to floats, 32 at a time. The intermediate
/// bytes are larger by the weight of the sign, which makes them positive. Of each eight bytes, the first four
/// are in the lower half of the register.
struct Unpack<const WIDTH: usize> {
    /// For both halves of a word: the byte that contains a bit.
    byte: [__m256i; 2],
    /// The position of the bit in that byte.
    bit: __m256i,
}

impl<const WIDTH: usize> Unpack<WIDTH> {
    #[target_feature(enable = "avx2")]
    fn new() -> Self {
        let byte = [0, 4].map(|first| {
            let quarter = _mm_setr_epi32(0, 0x0101_0101, 0x0202_0202, 0x0303_0303);
            _mm256_broadcastsi128_si256(_mm_add_epi8(quarter, _mm_set1_epi8(first)))
        });
        let bit = _mm256_set_m128i(_mm_set1_epi32(0x8040_2010_u32 as i32), _mm_set1_epi32(0x0804_0201));
        // The compiler would replace a shuffle with a known pattern by several instructions.
        Unpack { byte: black_box(byte), bit }
    }

    /// One half of the words as bytes.
    #[target_feature(enable = "avx2")]
    fn bytes(&self, words: &[u64], half: usize) -> __m256i {
        let mut bytes = _mm256_setzero_si256();
        for plane in 0..WIDTH {
            let word = _mm256_set1_epi64x(words[plane * WORDS] as i64);
            let bits = _mm256_and_si256(_mm256_shuffle_epi8(word, self.byte[half]), self.bit);
            // The weight of the sign is added if the sign is not set.
            let counts = if plane == WIDTH - 1 { _mm256_setzero_si256() } else { self.bit };
            let weight = _mm256_set1_epi8((1_u8 << plane) as i8);
            bytes = _mm256_or_si256(bytes, _mm256_and_si256(_mm256_cmpeq_epi8(bits, counts), weight));
        }
        bytes
    }

    /// The integers in `bytes`, as floats in the same order.
    #[target_feature(enable = "avx2")]
    fn floats(&self, bytes: __m256i) -> [__m256; 4] {
        // The lowest byte of the float 2^23 has a weight of one.
        let (zero, exponent) = (_mm256_setzero_si256(), _mm256_set1_epi16(0x4B00));
        let offset = _mm256_set1_ps((1_u32 << 23 | 1 << (WIDTH - 1)) as f32);
        let (a, b) = (_mm256_unpacklo_epi8(bytes, zero), _mm256_unpackhi_epi8(bytes, zero));
        [
            _mm256_unpacklo_epi16(a, exponent),
            _mm256_unpackhi_epi16(a, exponent),
            _mm256_unpacklo_epi16(b, exponent),
            _mm256_unpackhi_epi16(b, exponent),
        ]
        .map(|bits| _mm256_sub_ps(_mm256_castsi256_ps(bits), offset))
    }
}
