//! Transposition of a square in AVX-512 registers, for code that packs operands.
//!
//! It uses intrinsics because compilers turn the transposition of an array into moves of single values.

use std::arch::x86_64::*;

/// The number of words per vector.
const LANES: usize = 16;

/// Transposes 16 rows of 16 words: it interleaves words, then pairs of words, then quarters of vectors.
///
/// # Safety
/// The machine has AVX-512 F.
#[inline(always)]
pub unsafe fn transpose(rows: [__m512i; LANES]) -> [__m512i; LANES] {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut pairs = rows;
        for i in 0..8 {
            pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
        }
        // Quarter q of vector 4 i + j has column 4 q + j of rows 4 i to 4 i + 3.
        let mut fours = rows;
        for i in (0..16).step_by(4) {
            fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
            fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
            fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
            fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
        }
        let mut columns = rows;
        for j in 0..4 {
            let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
            let (even, odd) = (_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
            let (even_2, odd_2) = (_mm512_shuffle_i32x4(c, d, 0x88), _mm512_shuffle_i32x4(c, d, 0xdd));
            columns[j] = _mm512_shuffle_i32x4(even, even_2, 0x88);
            columns[4 + j] = _mm512_shuffle_i32x4(odd, odd_2, 0x88);
            columns[8 + j] = _mm512_shuffle_i32x4(even, even_2, 0xdd);
            columns[12 + j] = _mm512_shuffle_i32x4(odd, odd_2, 0xdd);
        }
        columns
    }
}
