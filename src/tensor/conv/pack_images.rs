//! Packs rows of the images of a [`Pass`] in the form of its operands: see [`super::operands`].

use std::ops::Range;

use super::avx512_bf16::Avx512Bf16;
use super::operands::Operands;
use super::pack::{Lines, pack};
use super::pack_pairs::{Half, pack_pairs};
use super::pass::{Axis, Pass};
use crate::blocks::{Block, Machine};

/// Rows of one group's images, for a block of samples.
pub struct ImageRows<'a> {
    /// The geometry.
    pub pass: &'a Pass,
    /// This machine.
    pub machine: Machine,
    /// N.
    pub batch: usize,
    /// The samples.
    pub block: Block,
    /// The rows, at least one.
    pub rows: Range<usize>,
    /// `[C, H, W, N]`, and everything after it.
    pub images: &'a [f32],
}

impl ImageRows<'_> {
    /// Copies the rows to `[rows, W, words, V lanes]`.
    pub fn pack(&self, operands: Operands, packed: &mut [f32]) {
        let Pass { channels, column, .. } = *self.pass;
        let lines = self.lines(channels, column.size, operands.words(channels));
        match operands {
            Operands::Float32 | Operands::Rounded => {
                pack(&lines, self.block, self.machine.lanes, self.from(0, 0), packed);
                operands.round(packed);
            }
            Operands::Pairs(instructions) if channels.is_multiple_of(2) => {
                let mut lines = lines;
                (lines.count[0], lines.from[0]) = (channels / 2, 2 * lines.from[0]);
                self.pack_pairs(instructions, &lines, self.from(0, 0), Some(self.from(1, 0)), packed);
            }
            Operands::Pairs(instructions) => {
                let (last, width) = (channels - 1, self.width());
                // Channels that another one follows, and the last channel, which the first one of the next
                // pixel follows, if there is one.
                if last > 0 {
                    let lines = self.lines(last, column.size, channels);
                    self.pack_pairs(instructions, &lines, self.from(0, 0), Some(self.from(1, 0)), packed);
                }
                if column.size > 1 {
                    let (lines, to) = (self.lines(1, column.size - 1, channels), &mut packed[last * width..]);
                    self.pack_pairs(instructions, &lines, self.from(last, 0), Some(self.from(0, 1)), to);
                }
                let (lines, edge) = (self.lines(1, 1, channels), column.size - 1);
                let to = &mut packed[(edge * channels + last) * width..];
                self.pack_pairs(instructions, &lines, self.from(last, edge), None, to);
            }
        }
    }

    /// The number of words per value or pair of values.
    pub fn width(&self) -> usize {
        self.block.vectors * self.machine.lanes
    }

    /// The lines of some channels and columns, with `words` packed words per pixel.
    pub fn lines(&self, channels: usize, columns: usize, words: usize) -> Lines {
        let Pass { row, column, .. } = *self.pass;
        let (width, batch) = (self.width(), self.batch);
        Lines {
            count: [channels, self.rows.len(), columns],
            from: [row.size * column.size * batch, column.size * batch, batch],
            to: [width, column.size * words * width, words * width],
        }
    }

    /// The images from a line of the first row on.
    pub fn from(&self, channel: usize, column: usize) -> &[f32] {
        let Pass { row, column: Axis { size, .. }, .. } = *self.pass;
        let pixel = (channel * row.size + self.rows.start) * size + column;
        &self.images[pixel * self.batch + self.block.first..]
    }

    /// Packs pairs of lines of the block's samples. Without `second`, the second value of each pair is zero.
    pub fn pack_pairs(
        &self,
        instructions: Avx512Bf16,
        lines: &Lines,
        first: &[f32],
        second: Option<&[f32]>,
        packed: &mut [f32],
    ) {
        let samples = self.block.samples;
        let first = Half { images: first, samples };
        let second = second.map_or(Half { images: &[], samples: 0 }, |images| Half { images, samples });
        pack_pairs(instructions, lines, self.block.vectors, first, second, packed);
    }
}
