//! The sizes of packed operands, and the places of weights in tiles of sums.

use super::TILE;
use crate::blocks::most;
use crate::conv::pass::Pass;
use crate::tiles::{ROWS, WORDS};

/// The minimum number of positions per work item, if the output has enough: a kernel loads and stores its sums once per
/// work item.
const LEAST_POSITIONS: usize = 64;

/// The sizes for one convolution.
pub struct Geometry {
    /// The forward pass of one group.
    pub pass: Pass,
    /// The number of lines of a packed row of pixels: `[W, C]`, with padding.
    pub row_lines: usize,
    /// The number of tiles of taps in a row of the window: all (s, c), 16 lines per tile.
    row_tiles: usize,
    /// The number of tiles of a pixel if its channels fill tiles exactly; otherwise 1.
    pixel_tiles: usize,
    /// The maximum number of output rows per work item.
    pub item_rows: usize,
}

impl Geometry {
    /// Plans the forward pass `pass`, with work items of at most `bytes` packed bytes, or of the minimum number of
    /// positions.
    pub fn new(pass: Pass, bytes: usize) -> Geometry {
        let row_lines = pass.column.span() * pass.channels;
        let row_tiles = (pass.column.taps * pass.channels).div_ceil(ROWS);
        let pixel_tiles = if pass.channels.is_multiple_of(ROWS) { pass.channels / ROWS } else { 1 };
        let mut geometry = Geometry { pass, row_lines, row_tiles, pixel_tiles, item_rows: 1 };
        let words = |rows| geometry.image_words(rows) + geometry.slope_words(rows);
        let (rows, columns) = (geometry.pass.row.outputs, geometry.pass.column.outputs);
        let least = LEAST_POSITIONS.div_ceil(columns.max(1));
        geometry.item_rows = most(rows, |rows| rows <= least || words(rows) * size_of::<f32>() <= bytes);
        geometry
    }

    /// The number of pixel rows under `rows` output rows, with padding.
    pub fn pixel_rows(&self, rows: usize) -> usize {
        (rows - 1) * self.pass.row.stride() + self.pass.row.taps
    }

    /// The number of words of packed x for `rows` output rows. The last tile of a row of the window may read past the
    /// last line.
    pub fn image_words(&self, rows: usize) -> usize {
        (self.pixel_rows(rows) * self.row_lines + ROWS - 1) * WORDS
    }

    /// The number of words of packed dy for `rows` output rows.
    pub fn slope_words(&self, rows: usize) -> usize {
        rows * self.pass.column.outputs * self.filter_tiles() * TILE
    }

    /// The number of words of scratch space: x, dy, and the lanes of the bias sums.
    pub fn scratch(&self) -> usize {
        let lanes = self.padded_filters() * WORDS;
        self.image_words(self.item_rows) + self.slope_words(self.item_rows) + lanes
    }

    /// The number of tiles of filters.
    pub fn filter_tiles(&self) -> usize {
        self.pass.filters.div_ceil(ROWS)
    }

    /// The number of filters in all tiles, padding included.
    pub fn padded_filters(&self) -> usize {
        self.filter_tiles() * ROWS
    }

    /// The number of tiles of taps.
    pub fn tap_tiles(&self) -> usize {
        self.pass.row.taps * self.row_tiles
    }

    /// The distance in lines from the first pixel of the window to the first line of a tile of taps.
    ///
    /// Tiles of the same channels follow each other: at the next position, most of the lines that a kernel reads for
    /// them are in the L1 cache.
    pub fn tap_line(&self, tile: usize) -> usize {
        let columns = self.row_tiles / self.pixel_tiles;
        let (part, r, column) = (tile / (columns * self.pass.row.taps), tile / columns, tile % columns);
        r % self.pass.row.taps * self.row_lines + (column * self.pixel_tiles + part) * ROWS
    }

    /// The place of each weight `[C, R, S]` among the lines of all tiles of taps.
    pub fn places(&self) -> impl ExactSizeIterator<Item = usize> + use<'_> {
        let Pass { channels, row, column, .. } = self.pass;
        let columns = self.row_tiles / self.pixel_tiles;
        (0..channels * row.taps * column.taps).map(move |weight| {
            let (c, r, s) =
                (weight / column.taps / row.taps, weight / column.taps % row.taps, weight % column.taps);
            let line = s * channels + c;
            let (part, column) = (line / ROWS % self.pixel_tiles, line / ROWS / self.pixel_tiles);
            ((part * row.taps + r) * columns + column) * ROWS + line % ROWS
        })
    }

    /// The number of sums in all tiles.
    pub fn sums(&self) -> usize {
        self.filter_tiles() * self.tap_tiles() * TILE
    }
}
