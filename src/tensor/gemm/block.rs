//! The tiles of a block: packed rows times packed columns.

use std::ops::Range;

use super::arithmetic::Arithmetic;
use super::lines::Lines;
use super::strip;
use super::tile::Tile;
use crate::blocks::Shared;

/// A product whose vectors lie along the columns of `c`.
pub struct Product<'a> {
    pub arithmetic: Arithmetic,
    pub rows: Lines<'a>,
    pub columns: Lines<'a>,
    /// Whether the outer loop runs over panels of rows and the inner loop over panels of columns; otherwise the
    /// reverse.
    pub rows_outside: bool,
    pub beta: f32,
    pub c: Shared,
    pub strides: [isize; 2],
}

/// A packed part of an operand.
pub struct Packed<'a> {
    pub panels: Range<usize>,
    /// The number of words along k.
    pub words: usize,
    pub values: &'a [u32],
}

impl Product<'_> {
    /// Computes all tiles of packed rows and columns. The panel of the outer loop stays in the L1 cache, part by part.
    ///
    /// # Safety
    /// No other code accesses these sums.
    pub unsafe fn tiles(&self, [rows, columns]: [&Packed<'_>; 2], beta: f32) {
        let lines = self.rows.values.nrows();
        for own in self.rows.cut.by_size(lines, rows.panels.clone()).into_iter().filter(|own| !own.is_empty())
        {
            self.arithmetic.with_rows(self.rows.cut.panel(lines, own.start).len(), || {
                let (outer, inner) =
                    if self.rows_outside { (&own, &columns.panels) } else { (&columns.panels, &own) };
                for outer in outer.clone() {
                    for own in self.arithmetic.word_parts(rows.words, self.arithmetic.most_words()) {
                        let beta = if own.start == 0 { beta } else { 1.0 };
                        for inner in inner.clone() {
                            let place = if self.rows_outside { [outer, inner] } else { [inner, outer] };
                            // SAFETY: guaranteed by the caller.
                            unsafe {
                                let (c, [rows_of_c, columns_of_c]) = self.place(place);
                                let c = (c, [rows_of_c.len(), columns_of_c.len()], self.strides);
                                self.tile([rows, columns], place, own.clone(), beta, c)
                            };
                        }
                    }
                }
            });
        }
    }

    /// Computes all tiles for a new `c`. Each panel of rows is computed in `strip` and then written to `c`.
    ///
    /// # Safety
    /// See [`Product::tiles`].
    pub unsafe fn strips(&self, [rows, columns]: [&Packed<'_>; 2], strip: &mut [f32]) {
        let (lines, width) = (self.rows.values.nrows(), self.columns.cut.width);
        let stride = strip::stride(columns.panels.len() * width);
        for own in self.rows.cut.by_size(lines, rows.panels.clone()).into_iter().filter(|own| !own.is_empty())
        {
            self.arithmetic.with_rows(self.rows.cut.panel(lines, own.start).len(), || {
                for row in own.clone() {
                    let count = self.rows.cut.panel(lines, row).len();
                    for own in self.arithmetic.word_parts(rows.words, self.arithmetic.most_words()) {
                        let beta = if own.start == 0 { 0.0 } else { 1.0 };
                        for column in columns.panels.clone() {
                            let c = strip[(column - columns.panels.start) * width..].as_mut_ptr();
                            let c = (c, [count, width], [stride as isize, 1]);
                            // SAFETY: the strip has room for full panels.
                            unsafe { self.tile([rows, columns], [row, column], own.clone(), beta, c) };
                        }
                    }
                    let (c, _) = self.place([row, columns.panels.start]);
                    let used = self.columns.count(&columns.panels);
                    // SAFETY: the caller guarantees these rows of `c`; machines with AMX have AVX-512.
                    unsafe { strip::write(strip, stride, [count, used], c, self.strides[0]) };
                }
            });
        }
    }

    /// The first sum of a tile, and its rows and columns.
    fn place(&self, [row, column]: [usize; 2]) -> (*mut f32, [Range<usize>; 2]) {
        let rows = self.rows.cut.panel(self.rows.values.nrows(), row);
        let columns = self.columns.cut.panel(self.columns.values.nrows(), column);
        let place = rows.start as isize * self.strides[0] + columns.start as isize * self.strides[1];
        // SAFETY: the row and the column are in `c`.
        (unsafe { self.c.at(0).offset(place) }, [rows, columns])
    }

    /// Adds the products of some words to the sums of a tile. The last argument is the address of the sums, their
    /// numbers of rows and columns, and their strides.
    ///
    /// # Safety
    /// These sums exist, and no other code accesses them.
    unsafe fn tile(
        &self,
        [rows, columns]: [&Packed<'_>; 2],
        [row, column]: [usize; 2],
        own: Range<usize>,
        beta: f32,
        (c, [own_rows, own_columns], strides): (*mut f32, [usize; 2], [isize; 2]),
    ) {
        let (a_width, b_width) = (self.rows.cut.width, self.columns.cut.width);
        let a = &rows.values[((row - rows.panels.start) * rows.words + own.start) * a_width..];
        let b = &columns.values[((column - columns.panels.start) * columns.words + own.start) * b_width..];
        assert!(a.len() >= own.len() * a_width && b.len() >= own.len() * b_width);
        let tile = Tile {
            words: own.len(),
            a: a.as_ptr(),
            a_width,
            b: b.as_ptr(),
            b_width,
            beta,
            a_stays: self.rows_outside,
            next_b: None,
            c,
            row_stride: strides[0],
        };
        // SAFETY: the panels are as long as asserted, and the caller guarantees the sums.
        unsafe { tile.compute(self.arithmetic, own_rows, own_columns, strides[1]) };
    }
}
