//! The tile products of a work item.

use super::TILE;
use super::geometry::Geometry;
use crate::blocks::parts;
use crate::conv::pass::Pass;
use crate::simd::const_dispatch;
use crate::tiles::{ROWS, WORDS};
use crate::tiles::{load, multiply_add, store, zero};

/// The maximum number of tiles of sums that stay in registers; one more tile holds taps, and one holds filters.
const MOST: usize = 6;
const TAPS: usize = 6;
const FILTERS: usize = 7;

/// The number of bytes from one line to the next, in all tiles.
const LINE: usize = WORDS * size_of::<f32>();

/// A packed work item.
pub struct Products<'a> {
    pub geometry: &'a Geometry,
    /// The number of output rows.
    pub rows: usize,
    /// `[rows, W, C, WORDS]`: see [`super::images`].
    pub x: &'a [f32],
    /// `[tiles of filters, positions, WORDS, ROWS]`: see [`super::slopes`].
    pub dy: &'a [f32],
}

/// Evaluates an expression for each tile number below a constant of at most [`MOST`]; each number is a constant.
macro_rules! each_tile {
    ($tile:ident < $count:ident, $do:expr) => {
        each_tile!(@ $tile, $count, $do, 0, 1, 2, 3, 4, 5)
    };
    (@ $tile:ident, $count:ident, $do:expr, $($index:literal),+) => {
        $(if $count > $index {
            const $tile: usize = $index;
            $do;
        })+
    };
}

impl Products<'_> {
    /// Adds the products to `sums` `[tiles of filters, tiles of taps, ROWS, WORDS]`. The `first` work item overwrites
    /// the sums.
    ///
    /// # Safety
    /// Must run inside [`crate::tiles::Layout::with`], with full-size tiles.
    pub unsafe fn add(&self, first: bool, sums: &mut [f32]) {
        let geometry = self.geometry;
        assert!(self.x.len() >= geometry.image_words(self.rows));
        assert!(self.dy.len() >= geometry.slope_words(self.rows));
        assert!(sums.len() >= geometry.sums());
        for taps in parts(geometry.tap_tiles(), MOST) {
            for filters in 0..geometry.filter_tiles() {
                let sums =
                    &mut sums[(filters * geometry.tap_tiles() + taps.start) * TILE..][..taps.len() * TILE];
                // SAFETY: guaranteed by the caller, and the operands are complete.
                const_dispatch!(K = taps.len(), in [1, 2, 3, 4, 5, 6]; unsafe {
                    self.add_tiles::<K>(taps.start, filters, first, sums)
                });
            }
        }
    }

    /// Adds the products of K tiles of taps, starting at `taps`, and a tile of filters.
    ///
    /// # Safety
    /// As above.
    unsafe fn add_tiles<const K: usize>(&self, taps: usize, filters: usize, first: bool, sums: &mut [f32]) {
        let Geometry { pass: Pass { channels, row, column, .. }, row_lines, .. } = *self.geometry;
        let offsets: [usize; K] = std::array::from_fn(|k| self.geometry.tap_line(taps + k) * WORDS);
        let sums = sums.as_mut_ptr();
        let positions = self.rows * column.outputs;
        let mut dy = self.dy.as_ptr().wrapping_add(filters * positions * TILE).cast::<u32>();
        // SAFETY: all lines of these operands and sums exist.
        unsafe {
            if first {
                each_tile!(T < K, zero::<T>());
            } else {
                each_tile!(T < K, load::<T>(sums.add(T * TILE).cast(), LINE));
            }
            for p in 0..self.rows {
                let mut x = self.x.as_ptr().add(p * row.stride() * row_lines * WORDS).cast::<u32>();
                for _ in 0..column.outputs {
                    load::<FILTERS>(dy, LINE);
                    each_tile!(T < K, {
                        load::<TAPS>(x.add(offsets[T]), LINE);
                        multiply_add::<T, TAPS, FILTERS>();
                    });
                    // After the last position, neither pointer is read.
                    x = x.wrapping_add(column.stride() * channels * WORDS);
                    dy = dy.wrapping_add(ROWS * WORDS);
                }
            }
            each_tile!(T < K, store::<T>(sums.add(T * TILE), LINE));
        }
    }
}
