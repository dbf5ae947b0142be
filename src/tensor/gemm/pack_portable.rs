//! Packing in plain loops, which compilers vectorise.

use std::ops::Range;

use super::format::Format;
use super::lines::{Cut, Lines, Order};
use crate::simd::vectorise;

/// A part of an operand to pack.
pub struct Packing<'a, 'b> {
    /// The operand.
    pub lines: &'a Lines<'b>,
    /// Its panels.
    pub panels: Range<usize>,
    /// The words of each.
    pub words: Range<usize>,
}

impl Packing<'_, '_> {
    /// Packs to `to`, in squares of S lines and S words.
    pub fn pack<F: Format, const S: usize>(self, to: &mut [u32]) {
        let (lines, k) = self.lines.values.dim();
        let strides = self.lines.values.strides();
        vectorise(
            #[inline(always)]
            || {
                if self.lines.cut.order == Order::ByLine {
                    self.scattered::<F>(to);
                } else if k < 2 || strides[1] == 1 {
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

    /// Packs from any order to any order.
    #[inline(always)]
    fn scattered<F: Format>(&self, to: &mut [u32]) {
        let (cut, (count, k), scale) = (self.lines.cut, self.lines.values.dim(), self.lines.scale);
        let panel_words = self.words.len() * cut.width;
        for (panel, to) in self.panels.clone().zip(to.chunks_exact_mut(panel_words.max(1))) {
            for (at, word) in self.words.clone().enumerate() {
                for (own, line) in self.lines.cut.panel(count, panel).enumerate() {
                    let value = |k_: usize| match k_ < k {
                        true => scale * self.lines.values[[line, k_]],
                        false => self.lines.padding,
                    };
                    let first = word * F::DEPTH;
                    to[cut.place(at, own)] = F::word(value(first), value(first + F::DEPTH - 1));
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
