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
use super::block::{Packed, Product};
use super::lines::Lines;
use super::pack::pack;
use super::strip;
use super::workspace::Workspace;
use crate::blocks::Shared;
use crate::threads::{for_each, threads};

/// A product with fewer multiply-adds is not worth a second thread.
pub const WORTH_SHARING: usize = 1 << 21;

/// The maximum number of words of a block, so that it stays in the L2 cache.
pub const BLOCK_WORDS: usize = 96 * 1024;

/// The maximum number of words of columns that are read again for each panel of rows, so that they stay in the L2
/// cache together with a block of rows.
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
    let [row_count, column_count] = [&rows, &columns].map(|lines| lines.values.nrows());
    // Row after row if possible, so that `c` is written in address order.
    let packed_columns = column_count.saturating_mul(arithmetic.words(k).min(MOST_WORDS));
    let rows_outside = row_count <= column_count || packed_columns <= STREAMED_WORDS;
    let cut = if rows_outside { arithmetic.streamed_columns() } else { arithmetic.columns() };
    let columns = Lines { cut, ..columns };
    let strides = [c.strides()[0], c.strides()[1]];
    let mut c = c;
    let product =
        Product { arithmetic, rows, columns, rows_outside, beta, c: Shared(c.as_mut_ptr()), strides };
    let threads = if m.saturating_mul(n).saturating_mul(k) < WORTH_SHARING { 1 } else { threads() };
    product.compute(arithmetic.words(k), threads, workspace);
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
            let is_new = self.beta == 0.0 && words.len() == all_words && self.strides[1] == 1;
            let columns = most[usize::from(rows_are_outer)] * self.columns.cut.width;
            let strip =
                if is_new && self.rows_outside { strip::length(self.arithmetic, [m, n], columns) } else { 0 };
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
                            self.tiles([rows, columns], beta);
                        } else {
                            self.strips([rows, columns], strip);
                        }
                    };
                }
            });
        }
    }
}

/// How many parts rows and columns are cut into, given the numbers of their panels and lines: the maximum number of
/// parts up to `threads`, and among these cuts the one that packs the fewest lines.
fn grid([rows, columns]: [usize; 2], lines: [usize; 2], threads: usize) -> [usize; 2] {
    let grids = (1..=threads.min(rows)).map(|row_parts| [row_parts, (threads / row_parts).min(columns)]);
    let packed = |[row_parts, column_parts]: [usize; 2]| column_parts * lines[0] + row_parts * lines[1];
    grids.max_by_key(|&grid| (grid[0] * grid[1], std::cmp::Reverse(packed(grid)))).unwrap_or([1, 1])
}
