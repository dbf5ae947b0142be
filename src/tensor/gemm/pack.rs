//! Copies the operands of a product into the order in which a micro-kernel reads them, rounded to the format
//! that it computes in.
//!
//! Both operands are packed alike. Their *lines* run along k: the rows of `a`, or the columns of `b`. A
//! *panel* is a few neighbouring lines, packed as `[words, width]`; a word has 32 bits and holds one value
//! of k, or two in bf16. So a kernel reads both operands sequentially.

use std::ops::Range;

use ndarray::ArrayView2;
use ternflock_base::split::chunk;

use super::arithmetic::Arithmetic;
#[cfg(target_arch = "x86_64")]
use super::pack_avx512::{self, Vectors as AnyFormat};
use crate::bf16::{round, widen};
use crate::blocks::{Shared, part};
use crate::simd::vectorise;
use crate::threads::for_each;

/// One operand, and how its lines are cut into panels.
#[derive(Clone, Copy)]
pub struct Lines<'a> {
    /// `[lines, k]`.
    pub values: ArrayView2<'a, f32>,
    /// Every value is multiplied by this first.
    pub scale: f32,
    /// Takes the place of the value after the last, if words hold two.
    pub padding: f32,
    /// The cut.
    pub cut: Cut,
}

impl Lines<'_> {
    /// The number of lines in `panels`.
    pub fn count(&self, panels: &Range<usize>) -> usize {
        let lines = self.values.nrows();
        panels.clone().map(|panel| self.cut.panel(lines, panel).len()).sum()
    }
}

/// How lines are cut into panels.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The maximum number of lines per panel.
    pub most: usize,
    /// Words from one k of a panel to the next.
    pub width: usize,
    /// Whether panels have nearly equal numbers of lines; otherwise all except the last are full.
    pub even: bool,
}

impl Cut {
    /// The number of panels of `lines` lines.
    pub fn panels(self, lines: usize) -> usize {
        lines.div_ceil(self.most)
    }

    /// The lines of panel `index`, of `lines` in total.
    pub fn panel(self, lines: usize, index: usize) -> Range<usize> {
        if self.even {
            part(lines, self.most, index)
        } else {
            index * self.most..lines.min((index + 1) * self.most)
        }
    }
}

/// The content of the words.
pub trait Format {
    /// Values of k per word.
    const DEPTH: usize;
    /// The word of one value, or of two that are neighbours along k.
    fn word(earlier: f32, later: f32) -> u32;
}

#[cfg(not(target_arch = "x86_64"))]
use Format as AnyFormat;

/// float32 values.
pub struct Float32;
impl Format for Float32 {
    const DEPTH: usize = 1;
    #[inline(always)]
    fn word(value: f32, _: f32) -> u32 {
        value.to_bits()
    }
}

/// Values rounded to bf16, as float32.
pub struct RoundedBf16;
impl Format for RoundedBf16 {
    const DEPTH: usize = 1;
    #[inline(always)]
    fn word(value: f32, _: f32) -> u32 {
        widen(round(value)).to_bits()
    }
}

/// Two bf16 values. `vdpbf16ps` adds the product of the upper halves first.
pub struct PairedBf16;
impl Format for PairedBf16 {
    const DEPTH: usize = 2;
    #[inline(always)]
    fn word(earlier: f32, later: f32) -> u32 {
        u32::from(round(earlier)) << 16 | u32::from(round(later))
    }
}

/// Packs `panels` of `lines`, and of each the words `words`, to `to` `[panels, words, width]`. Words of a
/// panel that belong to no line are undefined numbers.
pub fn pack(
    arithmetic: Arithmetic,
    lines: &Lines<'_>,
    panels: Range<usize>,
    words: Range<usize>,
    to: &mut [u32],
) {
    let (job, lanes) = (Packing { lines, panels, words }, arithmetic.lanes());
    match arithmetic {
        Arithmetic::Float32 => job.sides::<Float32>(lanes, to),
        Arithmetic::RoundedBf16 => job.sides::<RoundedBf16>(lanes, to),
        Arithmetic::PairedBf16 => job.sides::<PairedBf16>(lanes, to),
    }
}

/// [`pack`], on up to `threads` threads.
pub fn pack_on_threads(
    arithmetic: Arithmetic,
    lines: &Lines<'_>,
    panels: Range<usize>,
    words: Range<usize>,
    threads: usize,
    to: &mut [u32],
) {
    let parts = if threads == 1 { 1 } else { panels.len().div_ceil(PACKED_TOGETHER) };
    let panel = words.len() * lines.cut.width;
    assert!(panels.len() * panel <= to.len());
    let shared = Shared(to.as_mut_ptr().cast());
    for_each(parts, |part| {
        let own = chunk(panels.clone(), parts, part);
        let first = (own.start - panels.start) * panel;
        // SAFETY: the panels of one part, which are inside `to` as asserted and belong to no other part.
        let to = unsafe { std::slice::from_raw_parts_mut(shared.at(first).cast(), own.len() * panel) };
        pack(arithmetic, lines, own, words.clone(), to);
    });
}

/// Panels that a thread packs in one go.
const PACKED_TOGETHER: usize = 8;

struct Packing<'a, 'b> {
    lines: &'a Lines<'b>,
    panels: Range<usize>,
    words: Range<usize>,
}

impl Packing<'_, '_> {
    /// Chooses the side of the squares that are packed together.
    fn sides<F: AnyFormat>(self, lanes: usize, to: &mut [u32]) {
        let to = &mut to[..self.panels.len() * self.words.len() * self.lines.cut.width];
        #[cfg(target_arch = "x86_64")]
        if lanes == 16 && self.is_in_order() {
            // SAFETY: only AVX-512 has so many lanes, and only machines with AVX512_BF16 use pairs.
            return unsafe { pack_avx512::pack::<F>(self.lines, self.panels, self.words, to) };
        }
        match self.lines.cut.width {
            width if width % 8 == 0 && lanes > 1 => self.orders::<F, 8>(to),
            _ => self.orders::<F, 1>(to),
        }
    }

    /// Whether the values of a line or of one k are neighbours.
    fn is_in_order(&self) -> bool {
        let ((lines, k), strides) = (self.lines.values.dim(), self.lines.values.strides());
        k < 2 || lines < 2 || strides.contains(&1)
    }

    fn orders<F: Format, const S: usize>(self, to: &mut [u32]) {
        let (lines, k) = self.lines.values.dim();
        let strides = self.lines.values.strides();
        vectorise(
            #[inline(always)]
            || {
                if k < 2 || strides[1] == 1 {
                    self.along_k::<F, S>(to);
                } else if lines < 2 || strides[0] == 1 {
                    self.along_lines::<F, S>(to);
                } else {
                    self.scattered::<F>(to);
                }
            },
        );
    }

    /// The values of one line at neighbouring k are neighbours: squares are transposed in registers.
    #[inline(always)]
    fn along_k<F: Format, const S: usize>(&self, to: &mut [u32]) {
        let Cut { width, .. } = self.lines.cut;
        let (count, k) = self.lines.values.dim();
        let panel_words = self.words.len() * width;
        for (panel, to) in self.panels.clone().zip(to.chunks_exact_mut(panel_words.max(1))) {
            let range = self.lines.cut.panel(count, panel);
            for group in (0..range.len()).step_by(S) {
                for (square, word) in self.words.clone().step_by(S).enumerate() {
                    let first = word * F::DEPTH;
                    let values = (k - first).min(S * F::DEPTH);
                    let mut block = [[0; S]; S];
                    for (line, block) in (range.start + group..count).zip(&mut block) {
                        // SAFETY: the line has `values` neighbours from `first` on.
                        let from = unsafe {
                            let line = self
                                .lines
                                .values
                                .as_ptr()
                                .offset(line as isize * self.lines.values.strides()[0]);
                            std::slice::from_raw_parts(line.add(first), values)
                        };
                        *block = self.words_of::<F, S>(from);
                    }
                    let block = transposed(block);
                    let rows = (self.words.end - word).min(S);
                    let to = &mut to[square * S * width..];
                    for (row, block) in block.iter().enumerate().take(rows) {
                        to[row * width + group..][..S].copy_from_slice(block);
                    }
                }
            }
        }
    }

    /// The words of up to `S * DEPTH` neighbours of a line.
    #[inline(always)]
    fn words_of<F: Format, const S: usize>(&self, from: &[f32]) -> [u32; S] {
        let scale = self.lines.scale;
        if from.len() == S * F::DEPTH {
            std::array::from_fn(|i| {
                let at = i * F::DEPTH;
                F::word(scale * from[at], scale * from[at + F::DEPTH - 1])
            })
        } else {
            let mut words = [0; S];
            for (word, pair) in words.iter_mut().zip(from.chunks(F::DEPTH)) {
                let later = pair.get(F::DEPTH - 1).map_or(self.lines.padding, |later| scale * later);
                *word = F::word(scale * pair[0], later);
            }
            words
        }
    }

    /// The values of neighbouring lines at one k are neighbours.
    #[inline(always)]
    fn along_lines<F: Format, const S: usize>(&self, to: &mut [u32]) {
        let Cut { width, .. } = self.lines.cut;
        let (count, k) = self.lines.values.dim();
        let panel_words = self.words.len() * width;
        let paddings = [self.lines.padding; S];
        for (at, word) in self.words.clone().enumerate() {
            for (index, panel) in self.panels.clone().enumerate() {
                let range = self.lines.cut.panel(count, panel);
                let to = &mut to[index * panel_words + at * width..][..width];
                for (group, to) in (range.start..range.end).step_by(S).zip(to.chunks_exact_mut(S)) {
                    let earlier = self.neighbours::<S>(word * F::DEPTH, group, self.lines.scale);
                    let later = match word * F::DEPTH + F::DEPTH - 1 {
                        _ if F::DEPTH == 1 => earlier,
                        later if later < k => self.neighbours::<S>(later, group, self.lines.scale),
                        _ => paddings,
                    };
                    for (to, (earlier, later)) in to.iter_mut().zip(earlier.iter().zip(&later)) {
                        *to = F::word(*earlier, *later);
                    }
                }
            }
        }
    }

    /// The values of S lines from `first` on at `k`; zeros after the last line.
    #[inline(always)]
    fn neighbours<const S: usize>(&self, k: usize, first: usize, scale: f32) -> [f32; S] {
        let values = self.lines.values;
        // SAFETY: the lines from `first` to the last are neighbours.
        let from = unsafe {
            let row = values.as_ptr().offset(k as isize * values.strides()[1]);
            std::slice::from_raw_parts(row.add(first), values.nrows() - first)
        };
        let mut to = [0.0; S];
        match from.first_chunk::<S>() {
            Some(from) => to = *from,
            None => to[..from.len()].copy_from_slice(from),
        }
        to.map(|value| scale * value)
    }

    /// Any order.
    #[inline(always)]
    fn scattered<F: Format>(&self, to: &mut [u32]) {
        let (width, (count, k), scale) = (self.lines.cut.width, self.lines.values.dim(), self.lines.scale);
        let panel_words = self.words.len() * width;
        for (panel, to) in self.panels.clone().zip(to.chunks_exact_mut(panel_words.max(1))) {
            for (word, to) in self.words.clone().zip(to.chunks_exact_mut(width)) {
                for (line, to) in self.lines.cut.panel(count, panel).zip(to) {
                    let value = |k: usize| scale * self.lines.values[[line, k]];
                    let later = word * F::DEPTH + F::DEPTH - 1;
                    let later = if later < k { value(later) } else { self.lines.padding };
                    *to = F::word(value(word * F::DEPTH), later);
                }
            }
        }
    }
}

/// The transpose of a square.
#[inline(always)]
fn transposed<const S: usize>(block: [[u32; S]; S]) -> [[u32; S]; S] {
    std::array::from_fn(|j| std::array::from_fn(|i| block[i][j]))
}
