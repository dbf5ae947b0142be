//! Products in blocks that stay in the caches while they are used.
//!
//! The result is cut into one part per thread, and threads share nothing. A thread goes through k in blocks.
//! For each, it packs the operand with fewer lines (the *outer* one, which it reads from the outer caches),
//! and then block after block of the other (the *inner* one, which stays in its L2 cache), and multiplies
//! them, tile by tile.
//!
//! A tile continues its sums from `c`, so every sum is one chain over all of k, in order: see
//! [`super::gemm`]. Blocks, tiles and threads only decide who computes it, and when.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2};
use ternflock_base::split::chunk;

use super::arithmetic::{Arithmetic, MOST_WORDS};
use super::lines::Lines;
use super::pack::pack;
use super::strip;
use super::tile::Tile;
use super::workspace::Workspace;
use crate::blocks::Shared;
use crate::threads::{for_each, threads};

/// A product with fewer multiply-adds is not worth a second thread.
pub const WORTH_SHARING: usize = 1 << 21;

/// The maximum number of words of a block, so that it stays in the L2 cache.
pub const BLOCK_WORDS: usize = 96 * 1024;

/// The maximum number of words of columns that are read anew for each panel of rows, so that they stay in the L2 cache
/// beside a block of rows.
const STREAMED_WORDS: usize = 256 * 1024;

/// The maximum number of lines of the outer operand that are packed together.
pub const OUTER_LINES: usize = 1024;

/// `c = beta c + (alpha a) b`, with `c` `[m, n]`.
pub fn multiply(
    arithmetic: Arithmetic,
    workspace: &Workspace,
    alpha: f32,
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    beta: f32,
    c: ArrayViewMut2<'_, f32>,
) {
    let ((m, n), k) = (c.dim(), a.ncols());
    assert!(
        a.nrows() == m && b.dim() == (k, n),
        "a product of {:?} and {:?} to {:?}",
        a.dim(),
        b.dim(),
        c.dim()
    );
    if m == 0 || n == 0 {
        return;
    }
    // Vectors lie along the side of `c` whose elements are neighbours.
    let strides = c.strides();
    let by_columns = strides[0] == 1 && (strides[1] != 1 || n == 1);
    let a = Lines { values: a, scale: alpha, padding: 0.0, cut: arithmetic.rows() };
    // Zero times minus zero is minus zero, which leaves every sum as it is.
    let b = Lines { values: b.reversed_axes(), scale: 1.0, padding: -0.0, cut: arithmetic.rows() };
    let (c, rows, columns) = if by_columns { (c.reversed_axes(), b, a) } else { (c, a, b) };
    let columns = Lines { cut: arithmetic.columns(), ..columns };
    let strides = [c.strides()[0], c.strides()[1]];
    let mut c = c;
    let product = Product { arithmetic, rows, columns, beta, c: Shared(c.as_mut_ptr()), strides };
    let threads = if m.saturating_mul(n).saturating_mul(k) < WORTH_SHARING { 1 } else { threads() };
    product.compute(arithmetic.words(k), threads, workspace);
}

/// A product whose vectors lie along the columns of `c`.
struct Product<'a> {
    arithmetic: Arithmetic,
    rows: Lines<'a>,
    columns: Lines<'a>,
    beta: f32,
    c: Shared,
    strides: [isize; 2],
}

/// A packed part of an operand.
struct Packed<'a> {
    panels: Range<usize>,
    /// Words of k.
    words: usize,
    values: &'a [u32],
}

impl Product<'_> {
    /// Cuts `c` into a grid of parts, one per thread.
    fn compute(&self, words: usize, threads: usize, workspace: &Workspace) {
        let [rows, columns] = [self.rows, self.columns].map(|lines| lines.cut.panels(lines.values.nrows()));
        let lines = [self.rows, self.columns].map(|lines| lines.values.nrows());
        let [row_parts, column_parts] = grid([rows, columns], lines, threads);
        let task = |task: usize| {
            let own_rows = chunk(0..rows, row_parts, task / column_parts);
            let own_columns = chunk(0..columns, column_parts, task % column_parts);
            self.part(own_rows, own_columns, words, workspace);
        };
        if threads == 1 { task(0) } else { for_each(row_parts * column_parts, task) }
    }

    /// The product of some panels of rows and of columns.
    fn part(&self, rows: Range<usize>, columns: Range<usize>, words: usize, workspace: &Workspace) {
        let rows_are_outer = self.rows.count(&rows) <= self.columns.count(&columns);
        let ((outer, outer_panels), (inner, inner_panels)) = if rows_are_outer {
            ((&self.rows, rows), (&self.columns, columns))
        } else {
            ((&self.columns, columns), (&self.rows, rows))
        };
        let [m, n] = [&self.rows, &self.columns].map(|lines| lines.values.nrows());
        let all_words = words;
        let word_parts = self.arithmetic.word_parts(words, MOST_WORDS);
        let outer_parts = outer_panels.len().div_ceil((OUTER_LINES / outer.cut.most).max(1));
        for (outer_part, words) in
            (0..outer_parts).flat_map(|outer| word_parts.clone().map(move |words| (outer, words)))
        {
            let outer_panels = chunk(outer_panels.clone(), outer_parts, outer_part);
            let beta = if words.start == 0 { self.beta } else { 1.0 };
            let [outer_panel, inner_panel] = [outer, inner].map(|lines| words.len() * lines.cut.width);
            let blocks = inner_panels.len().div_ceil((BLOCK_WORDS / inner_panel.max(1)).max(1));
            let most = [outer_panels.len(), inner_panels.len().div_ceil(blocks)];
            let lengths = [most[0] * outer_panel, most[1] * inner_panel];
            // Row after row if possible, so that `c` is written in the order of addresses.
            let rows_outside = rows_are_outer || lengths[0] <= STREAMED_WORDS;
            let is_new = self.beta == 0.0 && words.len() == all_words && self.strides[1] == 1;
            let columns = most[usize::from(rows_are_outer)] * self.columns.cut.width;
            let strip =
                if is_new && rows_outside { strip::length(self.arithmetic, [m, n], columns) } else { 0 };
            workspace.with([lengths[0], lengths[1], strip], |[outer_buffer, inner_buffer], strip| {
                pack(self.arithmetic, outer, outer_panels.clone(), words.clone(), outer_buffer);
                let outer = Packed { panels: outer_panels, words: words.len(), values: outer_buffer };
                for block in 0..blocks {
                    let panels = chunk(inner_panels.clone(), blocks, block);
                    pack(self.arithmetic, inner, panels.clone(), words.clone(), inner_buffer);
                    let inner = Packed { panels, words: words.len(), values: inner_buffer };
                    let (rows, columns) = if rows_are_outer { (&outer, &inner) } else { (&inner, &outer) };
                    // SAFETY: different parts have different sums.
                    unsafe {
                        if strip.is_empty() {
                            self.tiles([rows, columns], beta, rows_outside);
                        } else {
                            self.strips([rows, columns], strip);
                        }
                    };
                }
            });
        }
    }

    /// All tiles of packed rows and columns. The panel of the outer loop stays in the L1 cache, part by part.
    ///
    /// # Safety
    /// No other code accesses these sums.
    unsafe fn tiles(&self, [rows, columns]: [&Packed<'_>; 2], beta: f32, rows_outside: bool) {
        let lines = self.rows.values.nrows();
        for own in self.rows.cut.by_size(lines, rows.panels.clone()).into_iter().filter(|own| !own.is_empty())
        {
            self.arithmetic.with_rows(self.rows.cut.panel(lines, own.start).len(), || {
                let (outer, inner) =
                    if rows_outside { (&own, &columns.panels) } else { (&columns.panels, &own) };
                for outer in outer.clone() {
                    for own in self.arithmetic.word_parts(rows.words, self.arithmetic.most_words()) {
                        let beta = if own.start == 0 { beta } else { 1.0 };
                        for inner in inner.clone() {
                            let place = if rows_outside { [outer, inner] } else { [inner, outer] };
                            // SAFETY: guaranteed by the caller.
                            unsafe {
                                let (c, [rows_of_c, columns_of_c]) = self.place(place);
                                let c = (c, [rows_of_c.len(), columns_of_c.len()], self.strides);
                                self.tile([rows, columns], place, own.clone(), beta, rows_outside, c)
                            };
                        }
                    }
                }
            });
        }
    }

    /// The same for a new `c`, each panel of rows in `strip` and then in `c`.
    ///
    /// # Safety
    /// See [`Product::tiles`].
    unsafe fn strips(&self, [rows, columns]: [&Packed<'_>; 2], strip: &mut [f32]) {
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
                            unsafe { self.tile([rows, columns], [row, column], own.clone(), beta, true, c) };
                        }
                    }
                    let (c, _) = self.place([row, columns.panels.start]);
                    let used = self.columns.count(&columns.panels);
                    // SAFETY: rows of `c`, guaranteed by the caller; machines with AMX have AVX-512.
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
        // SAFETY: a row and a column of `c`.
        (unsafe { self.c.at(0).offset(place) }, [rows, columns])
    }

    /// Some words of the sums of a tile, which are at `c`, with their numbers and strides.
    ///
    /// # Safety
    /// These sums exist, and no other code accesses them.
    unsafe fn tile(
        &self,
        [rows, columns]: [&Packed<'_>; 2],
        [row, column]: [usize; 2],
        own: Range<usize>,
        beta: f32,
        a_stays: bool,
        (c, [own_rows, own_columns], strides): (*mut f32, [usize; 2], [isize; 2]),
    ) {
        let (a_width, b_width) = (self.rows.cut.width, self.columns.cut.width);
        let a = &rows.values[((row - rows.panels.start) * rows.words + own.start) * a_width..];
        let b = &columns.values[((column - columns.panels.start) * rows.words + own.start) * b_width..];
        assert!(a.len() >= own.len() * a_width && b.len() >= own.len() * b_width);
        let tile = Tile {
            words: own.len(),
            a: a.as_ptr(),
            a_width,
            b: b.as_ptr(),
            b_width,
            beta,
            a_stays,
            next_b: None,
            c,
            row_stride: strides[0],
        };
        // SAFETY: the panels are as long as asserted, and the caller guarantees the sums.
        unsafe { tile.compute(self.arithmetic, own_rows, own_columns, strides[1]) };
    }
}

/// How many parts rows and columns are cut into, given the numbers of their panels and lines: as many parts as
/// possible up to `threads`, and then those for which the fewest lines are packed.
fn grid([rows, columns]: [usize; 2], lines: [usize; 2], threads: usize) -> [usize; 2] {
    let grids = (1..=threads.min(rows)).map(|row_parts| [row_parts, (threads / row_parts).min(columns)]);
    let packed = |[row_parts, column_parts]: [usize; 2]| column_parts * lines[0] + row_parts * lines[1];
    grids.max_by_key(|&grid| (grid[0] * grid[1], std::cmp::Reverse(packed(grid)))).unwrap_or([1, 1])
}
