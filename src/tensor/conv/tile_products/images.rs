//! Packs rows of images with their padding.

use crate::conv::avx512_bf16::Avx512Bf16;
use crate::conv::pack_images::ImageRows;

impl ImageRows<'_> {
    /// Copies the rows, as pairs of channels, to `[rows, columns, words, V lanes]`. The columns are all columns that
    /// the outputs read; padding is zero.
    pub fn pack_padded(&self, instructions: Avx512Bf16, words: usize, packed: &mut [f32]) {
        let pass = self.pass;
        let columns = pass.column.seen(0..pass.column.outputs);
        let pixel = words * self.width();
        let row = pass.column.span() * pixel;
        // The start of the first column and the end of the last column in a packed row.
        let first = ((columns.start as isize - pass.column.origin(0)) as usize * pixel).min(row);
        let past = first + columns.len() * pixel;
        for row in packed.chunks_exact_mut(row) {
            row[..first].fill(0.0);
            row[past..].fill(0.0);
        }
        if columns.is_empty() {
            return;
        }
        let mut pack = |channels, channel, second: Option<&[f32]>, at: usize| {
            let mut lines = self.lines(channels, columns.len(), words);
            lines.from[0] *= 2;
            lines.to[1] = row;
            let to = &mut packed[first + at * self.width()..];
            self.pack_pairs(instructions, &lines, self.from(channel, columns.start), second, to);
        };
        let pairs = pass.channels / 2;
        if pairs > 0 {
            pack(pairs, 0, Some(self.from(1, columns.start)), 0);
        }
        if pairs < words {
            pack(1, 2 * pairs, None, pairs);
        }
    }
}
