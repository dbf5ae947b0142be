//! Packs x for tiles: a line holds the 32 samples of a block, as pairs of neighbours, at one pixel of one channel.

use std::arch::x86_64::*;
use std::mem::transmute;
use std::ops::Range;

use super::geometry::Geometry;
use crate::blocks::Block;
use crate::conv::pack::Lines;
use crate::conv::pack_pairs::{Half, each_pair};
use crate::conv::pass::Pass;
use crate::tiles::{Amx, WORDS};

/// The images of one group.
pub struct Images<'a> {
    pub geometry: &'a Geometry,
    /// N.
    pub batch: usize,
    /// A slice that begins with `[C, H, W, N]`.
    pub images: &'a [f32],
}

impl Images<'_> {
    /// Fills the columns of padding with zeros, which [`Images::pack`] does not overwrite.
    pub fn clear_padding(&self, packed: &mut [f32]) {
        let columns = self.columns();
        let pixel = self.geometry.pass.channels * WORDS;
        for row in packed.chunks_exact_mut(self.geometry.row_lines * WORDS) {
            row[..columns.start * pixel].fill(0.0);
            row[columns.end * pixel..].fill(0.0);
        }
    }

    /// The packed columns that are inside the image.
    fn columns(&self) -> Range<usize> {
        let column = &self.geometry.pass.column;
        let first = (-column.origin(0)).max(0) as usize;
        let past = (first + column.size).min(column.span());
        first.min(past)..past
    }

    /// Packs the pixels that the output rows `outputs` read: `[rows, W, C, 16 pairs of samples]`, with padding.
    pub fn pack(&self, _: Amx, block: Block, outputs: Range<usize>, packed: &mut [f32]) {
        let Geometry { pass: Pass { channels, row, column, .. }, row_lines, .. } = *self.geometry;
        let (origin, all) = (row.origin(outputs.start), self.geometry.pixel_rows(outputs.len()));
        let inside = |packed: usize| (origin + packed as isize).clamp(0, row.size as isize) as usize;
        let (first, past) = (inside(0), inside(all));
        let before = (first as isize - origin).min(all as isize) as usize;
        let rows = packed[..all * row_lines * WORDS].chunks_exact_mut(row_lines * WORDS).enumerate();
        for (_, row) in rows.filter(|(row, _)| !(before..before + (past - first)).contains(row)) {
            row.fill(0.0);
        }
        let columns = self.columns();
        if first == past || columns.is_empty() {
            return;
        }
        let lines = Lines {
            count: [channels, past - first, columns.len()],
            from: [row.size * column.size * self.batch, column.size * self.batch, self.batch],
            to: [WORDS, row_lines * WORDS, channels * WORDS],
        };
        let images = &self.images[first * column.size * self.batch + block.first..];
        let packed = &mut packed[(before * row_lines + columns.start * channels) * WORDS..];
        // SAFETY: a processor with AMX has these instructions.
        unsafe { pack(&lines, images, block.samples, packed) };
    }
}

/// Packs at least one line.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack(lines: &Lines, images: &[f32], samples: usize, packed: &mut [f32]) {
    let first = Half { images, samples: samples.min(WORDS) };
    let second = Half { images: &images[first.samples..], samples: samples - first.samples };
    let masks = [first, second].map(|half| ((1u32 << half.samples) - 1) as __mmask16);
    each_pair(
        lines,
        WORDS,
        &first,
        &second,
        packed,
        #[inline(always)]
        |first, second, to| {
            // SAFETY: the masks select only values inside the images, and there is room for the words, as `each_pair`
            // guarantees.
            unsafe {
                let first = _mm512_maskz_loadu_ps(masks[0], first);
                let second = _mm512_maskz_loadu_ps(masks[1], second);
                let pairs = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first));
                _mm512_storeu_si512(to.cast(), pairs);
            }
        },
    );
}
