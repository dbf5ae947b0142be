//! Packed copies of images, including padding.

use std::ops::Range;

use crate::Window;
use crate::blocks::{Block, Shared};
use crate::conv::pack::{Lines, pack};

/// Images as windows see them: surrounded by rows and columns of zeros, and cropped where no window reaches.
/// A *line* holds the values of a block's samples at one pixel.
#[derive(Clone, Copy)]
pub struct Padded {
    /// H and W.
    size: (usize, usize),
    padding: (usize, usize),
    /// The steps from one row of outputs to the next, and along a row.
    pub stride: (usize, usize),
    /// Rows, including padding.
    pub rows: usize,
    /// Pixels per row, including padding.
    pub columns: usize,
    /// R.
    taps: usize,
}

/// A block of the samples of a batch.
#[derive(Clone, Copy)]
pub struct Samples {
    pub block: Block,
    pub lanes: usize,
    /// N.
    pub batch: usize,
}

impl Samples {
    /// Elements per line.
    pub fn width(&self) -> usize {
        self.block.vectors * self.lanes
    }
}

impl Padded {
    pub fn new(window: &Window) -> Padded {
        let reach = |outputs: usize, stride: usize, taps: usize| (outputs - 1) * stride + taps;
        Padded {
            size: window.size,
            padding: window.padding,
            stride: window.stride,
            rows: reach(window.output.0, window.stride.0, window.kernel.0),
            columns: reach(window.output.1, window.stride.1, window.kernel.1),
            taps: window.kernel.0,
        }
    }

    /// Lines of `rows` rows of a channel.
    pub fn lines(&self, rows: usize) -> usize {
        rows * self.columns
    }

    /// The number of rows that `outputs` rows of outputs read.
    pub fn seen(&self, outputs: Range<usize>) -> Range<usize> {
        outputs.start * self.stride.0..(outputs.end - 1) * self.stride.0 + self.taps
    }

    /// The number of lines from the first line of packed rows to the one under the first tap of output (p,
    /// q), where p is counted from the first output that reads these rows.
    #[inline(always)]
    pub fn place(&self, p: usize, q: usize) -> usize {
        p * self.stride.0 * self.columns + q * self.stride.1
    }

    /// The rows of the image among padded `rows`; and for a row, the number of pixels before the image and in
    /// the image.
    fn inside(&self, rows: &Range<usize>) -> (Range<usize>, usize, usize) {
        let row = |row: usize| row.saturating_sub(self.padding.0).min(self.size.0);
        let before = self.padding.1.min(self.columns);
        (row(rows.start)..row(rows.end), before, self.size.1.min(self.columns - before))
    }

    /// Copies `rows` of `channels` of `images` `[C, H, W, N]` to `packed` `[channels, most, columns, width]`,
    /// in which the first of the `most` rows are used.
    pub fn pack(
        &self,
        channels: &[usize],
        rows: Range<usize>,
        most: usize,
        samples: Samples,
        images: &[f32],
        packed: &mut [f32],
    ) {
        let (width, batch, (height, pixels)) = (samples.width(), samples.batch, self.size);
        let (inside, before, count) = self.inside(&rows);
        let row = self.columns * width;
        let above = (inside.start + self.padding.0).saturating_sub(rows.start).min(rows.len());
        for (&channel, packed) in channels.iter().zip(packed.chunks_exact_mut(most * row)) {
            let packed = &mut packed[..rows.len() * row];
            packed[..above * row].fill(0.0);
            let (lines, below) = packed[above * row..].split_at_mut(inside.len() * row);
            below.fill(0.0);
            if lines.is_empty() || count == 0 {
                lines.fill(0.0);
                continue;
            }
            if count < self.columns {
                for line in lines.chunks_exact_mut(row) {
                    line[..before * width].fill(0.0);
                    line[(before + count) * width..].fill(0.0);
                }
            }
            let copy = Lines {
                count: [1, inside.len(), count],
                from: [0, pixels * batch, batch],
                to: [0, row, width],
            };
            let first = (channel * height + inside.start) * pixels * batch + samples.block.first;
            pack(&copy, samples.block, samples.lanes, &images[first..], &mut lines[before * width..]);
        }
    }

    /// Writes a block's samples of complete `channels` from `packed` to `images`. Padding is left out, and
    /// pixels that no window reaches are zero.
    ///
    /// # Safety
    /// `images` has all channels of `[C, H, W, N]`, and no other code accesses the block's samples of these.
    pub unsafe fn unpack(&self, channels: &[usize], samples: Samples, packed: &[f32], images: Shared) {
        let (width, batch, (height, pixels)) = (samples.width(), samples.batch, self.size);
        let (inside, before, count) = self.inside(&(0..self.rows));
        let zeros = [0.0; 64];
        for (&channel, packed) in channels.iter().zip(packed.chunks_exact(self.rows * self.columns * width)) {
            for h in 0..height {
                let line = &packed
                    [if inside.contains(&h) { (h + self.padding.0) * self.columns * width } else { 0 }..];
                let reached = if inside.contains(&h) { count } else { 0 };
                for v in 0..pixels {
                    let from =
                        if v < reached { &line[(before + v) * width..][..width] } else { &zeros[..width] };
                    let at = ((channel * height + h) * pixels + v) * batch + samples.block.first;
                    // SAFETY: the caller's.
                    unsafe {
                        let to = images.at(at);
                        match samples.block.samples {
                            // A length that the compiler knows becomes a few moves.
                            16 => to.copy_from_nonoverlapping(from[..16].as_ptr(), 16),
                            32 => to.copy_from_nonoverlapping(from[..32].as_ptr(), 32),
                            samples => to.copy_from_nonoverlapping(from[..samples].as_ptr(), samples),
                        }
                    }
                }
            }
        }
    }
}
