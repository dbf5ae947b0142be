//! Packing with AVX-512: squares of 16 lines and 16 words are transposed in registers, and pairs of bf16 are
//! rounded by the instructions AVX512_BF16.
//!
//! It is written with intrinsics because compilers turn a transposition of arrays into moves of single
//! values: packing with those took most of the time of a product of 20 rows.

use std::arch::x86_64::*;
use std::ops::Range;

use super::format::{Float32, Format, PairedBf16, RoundedBf16};
use super::lines::{Cut, Lines, Order};
use crate::bf16::{round, widen};
use crate::transpose_avx512::transpose;

const LANES: usize = 16;

/// Packs panels as [`super::pack::pack`] does, if the lines or the values of k are neighbours.
///
/// # Safety
/// The machine has the instructions AVX-512 F and BW, and AVX512_BF16 for pairs; panels and words exist; and
/// `to` has room for these words, and the width is a multiple of 16.
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
    let (Cut { width, order, .. }, (count, k)) = (lines.cut, lines.values.dim());
    let panel_words = words.len() * width;
    assert!(to.len() >= panels.len() * panel_words && width.is_multiple_of(LANES));
    assert!(order == Order::ByWord || words.len().is_multiple_of(LANES));
    let end = k.min(words.end * F::DEPTH);
    let panels = panels.enumerate();
    let words = words.enumerate().step_by(LANES);
    let groups = |panel: usize| {
        let range = lines.cut.panel(count, panel);
        (0..range.len()).step_by(LANES).map(move |group| (group, range.start + group))
    };
    // SAFETY: every line, every value of k, and every place in `to` exists.
    unsafe {
        if k < 2 || lines.values.strides()[1] == 1 {
            for (index, panel) in panels {
                for (group, line) in groups(panel) {
                    for (at, word) in words.clone() {
                        let square = by_line::<F>(lines, line, word, end);
                        let square = if order == Order::ByLine { square } else { transpose(square) };
                        store(square, lines.cut, [at, group], &mut to[index * panel_words..][..panel_words]);
                    }
                }
            }
        } else {
            for (at, word) in words {
                for (index, panel) in panels.clone() {
                    for (group, line) in groups(panel) {
                        let square = by_word::<F>(lines, line, word, end);
                        let square = if order == Order::ByWord { square } else { transpose(square) };
                        store(square, lines.cut, [at, group], &mut to[index * panel_words..][..panel_words]);
                    }
                }
            }
        }
    }
}

/// Stores a square in the order of its panel, from this word and line on. Words after the last one are skipped.
#[inline(always)]
unsafe fn store(square: Square, cut: Cut, [word, line]: [usize; 2], panel: &mut [u32]) {
    let (stride, rows) = match cut.order {
        Order::ByWord => (cut.width, panel.len() / cut.width - word),
        Order::ByLine => (LANES, LANES),
    };
    // SAFETY: the panel has room for these rows.
    unsafe {
        let to = panel.as_mut_ptr().add(cut.place(word, line));
        for (row, values) in square.into_iter().enumerate() {
            if row < rows {
                _mm512_storeu_si512(to.add(row * stride).cast(), values);
            }
        }
    }
}

/// 16 lines and 16 words.
type Square = [__m512i; LANES];

/// The words from `word` on of the lines from `line` on, one vector per line. The values of k from `end` on are
/// padding. Lines after the last one are copies of it that are never read.
#[inline(always)]
unsafe fn by_line<F: Vectors>(lines: &Lines<'_>, line: usize, word: usize, end: usize) -> Square {
    let (last, stride) = (lines.values.nrows() - 1, lines.values.strides()[0]);
    let k = word * F::DEPTH;
    // SAFETY: the lines have these values.
    unsafe {
        let mut square = [_mm512_setzero_si512(); LANES];
        for (i, vector) in square.iter_mut().enumerate() {
            let from = lines.values.as_ptr().offset((line + i).min(last) as isize * stride).add(k);
            let values = load(lines, from, end - k);
            let later = match (end - k).checked_sub(LANES) {
                Some(rest) if F::DEPTH == 2 => load(lines, from.add(LANES), rest),
                _ => _mm512_set1_ps(lines.padding),
            };
            *vector = F::along(values, later);
        }
        square
    }
}

/// The words from `word` on of the lines from `line` on, one vector per word.
#[inline(always)]
unsafe fn by_word<F: Vectors>(lines: &Lines<'_>, line: usize, word: usize, end: usize) -> Square {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut square = [_mm512_setzero_si512(); LANES];
        for (i, vector) in square.iter_mut().enumerate() {
            let k = (word + i) * F::DEPTH;
            let values = at_k::<F>(lines, line, k, end);
            let later = if F::DEPTH == 2 { at_k::<F>(lines, line, k + 1, end) } else { values };
            *vector = F::across(values, later);
        }
        square
    }
}

/// The values at `k` of the lines from `line` on; padding if `k` is `end` or more.
#[inline(always)]
unsafe fn at_k<F: Format>(lines: &Lines<'_>, line: usize, k: usize, end: usize) -> __m512 {
    let (count, stride) = (lines.values.nrows(), lines.values.strides()[1]);
    // SAFETY: the lines have these values.
    unsafe {
        if k >= end {
            return _mm512_set1_ps(lines.padding);
        }
        let from = lines.values.as_ptr().offset(k as isize * stride).add(line);
        // Prefetch the same lines of the next square: rows are too far apart for the hardware prefetcher.
        _mm_prefetch::<_MM_HINT_T0>(from.wrapping_offset((LANES * F::DEPTH) as isize * stride).cast());
        load(lines, from, count - line)
    }
}

/// Up to 16 of `count` values, scaled and followed by padding.
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
