//! The micro-kernel in bf16: `vdpbf16ps` on pairs of values along k, of which the earlier is in the upper
//! half. M x 2 sums stay in registers, M up to 14 of 32.
//!
//! It is written with intrinsics because `pulp` has no vectors of bf16.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::tile::Tile;
use crate::simd::const_dispatch;

/// Computes a tile of `rows` rows and `vectors` vectors.
///
/// # Safety
/// See [`Tile`]. The machine has the instructions AVX512_BF16.
pub unsafe fn compute(tile: &Tile, rows: usize, vectors: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        const_dispatch!(V = vectors, in [1, 2];
            M = rows, in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
            sums::<M, V>(tile));
    }
}

const LANES: usize = 16;

/// # Safety
/// See [`Tile`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn sums<const M: usize, const V: usize>(tile: &Tile) {
    // SAFETY: the caller guarantees M rows of V vectors at `c`, and for each word M words at `a` and V vectors at `b`.
    unsafe {
        let place = |m: usize, v: usize| tile.c.offset(m as isize * tile.row_stride).add(v * LANES);
        let mut sums = [[_mm512_setzero_ps(); V]; M];
        if tile.beta != 0.0 {
            let beta = _mm512_set1_ps(tile.beta);
            for (m, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = _mm512_mul_ps(beta, _mm512_loadu_ps(place(m, v)));
                }
            }
        }
        let (mut a, mut b) = (tile.a, tile.b);
        for _ in 0..tile.words {
            let mut vectors = [pairs(_mm512_set1_epi32(0)); V];
            for (v, vector) in vectors.iter_mut().enumerate() {
                *vector = pairs(_mm512_loadu_si512(b.add(v * LANES).cast()));
            }
            for (m, sums) in sums.iter_mut().enumerate() {
                let pair = pairs(_mm512_set1_epi32(*a.add(m) as i32));
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = _mm512_dpbf16_ps(*sum, pair, vector);
                }
            }
            a = a.add(tile.a_width);
            b = b.add(tile.b_width);
        }
        for (m, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                _mm512_storeu_ps(place(m, v), *sum);
            }
        }
    }
}

/// The same bits as 16 pairs of bf16 values.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn pairs(words: __m512i) -> __m512bh {
    // SAFETY: vectors of the same size, for which all bits are valid.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(words) }
}
