//! The sizes of what is packed for tiles, and the places of weights in tiles of sums.

use super::TILE;
use crate::blocks::most;
use crate::conv::pass::Pass;
use crate::tiles::{ROWS, WORDS};

/// The sizes for one convolution.
pub struct Geometry {
    /// The forward pass of one group.
    pub pass: Pass,
    /// The lines of a packed row of pixels: `[W, C]`, with padding.
    pub row_lines: usize,
    /// The tiles of taps in a row of the window: all (s, c), 16 lines each.
    row_tiles: usize,
    /// The maximum number of rows of outputs per work item.
    pub item_rows: usize,
}

impl Geometry {
    /// For the forward pass `pass`, with work items of at most `bytes` packed bytes, or of one row.
    pub fn new(pass: Pass, bytes: usize) -> Geometry {
        let row_lines = pass.column.span() * pass.channels;
        let row_tiles = (pass.column.taps * pass.channels).div_ceil(ROWS);
        let mut geometry = Geometry { pass, row_lines, row_tiles, item_rows: 1 };
        let words = |rows| geometry.image_words(rows) + geometry.slope_words(rows);
        geometry.item_rows = most(geometry.pass.row.outputs, |rows| words(rows) * size_of::<f32>() <= bytes);
        geometry
    }

    /// The rows of pixels under `rows` rows of outputs, with padding.
    pub fn pixel_rows(&self, rows: usize) -> usize {
        (rows - 1) * self.pass.row.stride() + self.pass.row.taps
    }

    /// The words of packed x for `rows` rows of outputs. The last tile of a row of the window may read lines after
    /// the last one.
    pub fn image_words(&self, rows: usize) -> usize {
        (self.pixel_rows(rows) * self.row_lines + ROWS - 1) * WORDS
    }

    /// The words of packed dy for `rows` rows of outputs.
    pub fn slope_words(&self, rows: usize) -> usize {
        rows * self.pass.column.outputs * self.filter_tiles() * TILE
    }

    /// The words of scratch space: x, dy, and the lanes of the sums of biases.
    pub fn scratch(&self) -> usize {
        let lanes = self.padded_filters() * WORDS;
        self.image_words(self.item_rows) + self.slope_words(self.item_rows) + lanes
    }

    /// The tiles of filters.
    pub fn filter_tiles(&self) -> usize {
        self.pass.filters.div_ceil(ROWS)
    }

    /// The filters of all tiles.
    pub fn padded_filters(&self) -> usize {
        self.filter_tiles() * ROWS
    }

    /// The tiles of taps.
    pub fn tap_tiles(&self) -> usize {
        self.pass.row.taps * self.row_tiles
    }

    /// The distance in lines from the first pixel of the window to the first line of a tile of taps.
    pub fn tap_line(&self, tile: usize) -> usize {
        tile / self.row_tiles * self.row_lines + tile % self.row_tiles * ROWS
    }

    /// The sums of all tiles.
    pub fn sums(&self) -> usize {
        self.filter_tiles() * self.tap_tiles() * TILE
    }

    /// Copies the sums of all tiles to `weight` `[F, C, R, S]`.
    pub fn unpack(&self, sums: &[f32], weight: &mut [f32]) {
        let Pass { channels, filters, row, column, .. } = self.pass;
        let each = channels * row.taps * column.taps;
        for (index, tiles) in sums.chunks_exact(self.tap_tiles() * TILE).take(self.filter_tiles()).enumerate()
        {
            let (first, used) = (index * ROWS, (filters - index * ROWS).min(ROWS));
            let weight = &mut weight[first * each..(first + used) * each];
            for (r, tiles) in tiles.chunks_exact(self.row_tiles * TILE).enumerate() {
                for (line, sums) in
                    tiles.as_chunks::<WORDS>().0.iter().enumerate().take(column.taps * channels)
                {
                    let (s, c) = (line / channels, line % channels);
                    let at = (c * row.taps + r) * column.taps + s;
                    for (weight, sum) in weight[at..].iter_mut().step_by(each).zip(sums) {
                        *weight = *sum;
                    }
                }
            }
        }
    }
}
