//! Packing with AVX-512: squares of 16 lines and 16 words are transposed in registers, and pairs of bf16 are
//! rounded by the instructions AVX512_BF16.
//!
//! It is written with intrinsics because compilers turn a transposition of arrays into moves of single
//! values: packing with those took most of the time of a product of 20 rows.

use std::arch::x86_64::*;
use std::ops::Range;

use super::format::{Float32, Format, PairedBf16, RoundedBf16};
use super::lines::Lines;
use crate::bf16::{round, widen};
use crate::transpose_avx512::transpose;

const LANES: usize = 16;

/// Values of k from one that is packed to the one that is fetched.
const AHEAD: usize = 8;

/// Packs panels as [`super::pack::pack`] does, if the lines or the values of k are neighbours.
///
/// # Safety
/// The machine has the instructions AVX-512 F and BW, and AVX512_BF16 for pairs; panels and words exist; and
/// `to` is `[panels, words, width]`, with a width that is a multiple of 16.
pub unsafe fn pack<F: Vectors>(lines: &Lines<'_>, panels: Range<usize>, words: Range<usize>, to: &mut [u32]) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if F::DEPTH == 1 {
            single::<F>(lines, panels, words, to);
        } else {
            paired::<F>(lines, panels, words, to);
        }
    }
}

/// # Safety
/// See [`pack`].
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn single<F: Vectors>(lines: &Lines<'_>, panels: Range<usize>, words: Range<usize>, to: &mut [u32]) {
    // SAFETY: guaranteed by the caller.
    unsafe { in_order::<F>(lines, panels, words, to) }
}

/// # Safety
/// See [`pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn paired<F: Vectors>(lines: &Lines<'_>, panels: Range<usize>, words: Range<usize>, to: &mut [u32]) {
    // SAFETY: guaranteed by the caller.
    unsafe { in_order::<F>(lines, panels, words, to) }
}

/// # Safety
/// See [`pack`].
#[inline(always)]
unsafe fn in_order<F: Vectors>(lines: &Lines<'_>, panels: Range<usize>, words: Range<usize>, to: &mut [u32]) {
    let (width, (count, k)) = (lines.cut.width, lines.values.dim());
    let panel_words = words.len() * width;
    assert!(to.len() >= panels.len() * panel_words && width.is_multiple_of(LANES));
    let (strides, first) = (lines.values.strides(), lines.values.as_ptr());
    // SAFETY: every line, every value of k, and every place in `to` exists.
    unsafe {
        if k < 2 || strides[1] == 1 {
            for (index, panel) in panels.enumerate() {
                let range = lines.cut.panel(count, panel);
                for group in (0..range.len()).step_by(LANES) {
                    // A line after the last is a copy of the last, which nothing reads.
                    let mut from = [first; LANES];
                    for (line, from) in (range.start + group..).zip(&mut from) {
                        *from = first.offset(line.min(count - 1) as isize * strides[0]);
                    }
                    for (square, word) in words.clone().step_by(LANES).enumerate() {
                        let to = to.as_mut_ptr().add(index * panel_words + square * LANES * width + group);
                        let k = word * F::DEPTH..k.min((word + LANES) * F::DEPTH);
                        let mut rows = [_mm512_setzero_si512(); LANES];
                        for (row, line) in rows.iter_mut().zip(from) {
                            *row = along_k::<F>(lines, line, &k);
                        }
                        let rows = transpose(rows);
                        for (row, values) in rows.into_iter().enumerate().take(words.end - word) {
                            _mm512_storeu_si512(to.add(row * width).cast(), values);
                        }
                    }
                }
            }
        } else {
            for (at, word) in words.enumerate() {
                let earlier = first.offset((word * F::DEPTH) as isize * strides[1]);
                let later = word * F::DEPTH + F::DEPTH - 1;
                let later = if later < k { Some(first.offset(later as isize * strides[1])) } else { None };
                for (index, panel) in panels.clone().enumerate() {
                    let range = lines.cut.panel(count, panel);
                    let to = to.as_mut_ptr().add(index * panel_words + at * width);
                    for group in (0..range.len()).step_by(LANES) {
                        let line = range.start + group;
                        // Rows are far apart, too far for the processor to fetch them by itself.
                        let next = earlier.wrapping_offset(AHEAD as isize * strides[1]).wrapping_add(line);
                        _mm_prefetch::<_MM_HINT_T0>(next.cast());
                        let values = load(lines, earlier.add(line), count - line);
                        let later = match later {
                            _ if F::DEPTH == 1 => values,
                            Some(later) => load(lines, later.add(line), count - line),
                            None => _mm512_set1_ps(lines.padding),
                        };
                        _mm512_storeu_si512(to.add(group).cast(), F::across(values, later));
                    }
                }
            }
        }
    }
}

/// The words of the values `k` of a line; the last may be padded.
#[inline(always)]
unsafe fn along_k<F: Vectors>(lines: &Lines<'_>, line: *const f32, k: &Range<usize>) -> __m512i {
    // SAFETY: the line has these values.
    unsafe {
        let first = load(lines, line.add(k.start), k.len());
        let second = match k.len().checked_sub(LANES) {
            Some(rest) if F::DEPTH == 2 => load(lines, line.add(k.start + LANES), rest),
            _ => _mm512_set1_ps(lines.padding),
        };
        F::along(first, second)
    }
}

/// Up to 16 of `count` values, scaled, and then padding.
#[inline(always)]
unsafe fn load(lines: &Lines<'_>, from: *const f32, count: usize) -> __m512 {
    // SAFETY: only existing values are read.
    unsafe {
        if count >= LANES {
            return _mm512_mul_ps(_mm512_loadu_ps(from), _mm512_set1_ps(lines.scale));
        }
        let (mask, scale) = ((1 << count) - 1, _mm512_set1_ps(lines.scale));
        _mm512_mask_mul_ps(_mm512_set1_ps(lines.padding), mask, _mm512_maskz_loadu_ps(mask, from), scale)
    }
}

/// A format of words, for vectors.
pub trait Vectors: Format {
    /// The words of 16 values that are neighbours along k, or of 32 if words hold two.
    ///
    /// # Safety
    /// See [`pack`].
    unsafe fn along(first: __m512, second: __m512) -> __m512i;

    /// The words of 16 lines, from their values at one k, and at the next if words hold two.
    ///
    /// # Safety
    /// See [`pack`].
    unsafe fn across(earlier: __m512, later: __m512) -> __m512i;
}

impl Vectors for Float32 {
    #[inline(always)]
    unsafe fn along(values: __m512, _: __m512) -> __m512i {
        // SAFETY: AVX-512 F.
        unsafe { _mm512_castps_si512(values) }
    }

    #[inline(always)]
    unsafe fn across(values: __m512, _: __m512) -> __m512i {
        // SAFETY: AVX-512 F.
        unsafe { _mm512_castps_si512(values) }
    }
}

impl Vectors for RoundedBf16 {
    #[inline(always)]
    unsafe fn along(values: __m512, _: __m512) -> __m512i {
        // SAFETY: vectors and arrays of the same size, for which all bits are valid.
        unsafe {
            let mut values: [f32; LANES] = std::mem::transmute(values);
            for value in &mut values {
                *value = widen(round(*value));
            }
            std::mem::transmute(values)
        }
    }

    #[inline(always)]
    unsafe fn across(values: __m512, later: __m512) -> __m512i {
        // SAFETY: guaranteed by the caller.
        unsafe { Self::along(values, later) }
    }
}

/// Element `i` of the lower half, then of the upper half.
const INTERLEAVED: [u16; 32] = {
    let mut at = [0; 32];
    let mut i = 0;
    while i < 32 {
        at[i] = (i / 2 + i % 2 * 16) as u16;
        i += 1;
    }
    at
};

impl Vectors for PairedBf16 {
    #[inline(always)]
    unsafe fn along(first: __m512, second: __m512) -> __m512i {
        // SAFETY: AVX512_BF16; vectors of the same size.
        unsafe {
            let rounded: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(second, first));
            // The earlier value goes to the upper half.
            _mm512_rol_epi32::<16>(rounded)
        }
    }

    #[inline(always)]
    unsafe fn across(earlier: __m512, later: __m512) -> __m512i {
        // SAFETY: AVX512_BF16 and BW; vectors of the same size.
        unsafe {
            let rounded: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(earlier, later));
            _mm512_permutexvar_epi16(std::mem::transmute::<[u16; 32], __m512i>(INTERLEAVED), rounded)
        }
    }
}
