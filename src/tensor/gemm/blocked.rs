//! Products in blocks that stay in the caches while they are used.
//!
//! One operand, the one with fewer lines, is *shared*: all threads pack a part of it along k together, and
//! then read it from the outer caches. The lines of the other are cut into blocks, one task each: a thread
//! packs a block into its own L2 cache and multiplies it with the shared part, tile by tile.
//!
//! A tile continues its sums from `c`, so every sum is one chain over all of k, in order: see
//! [`super::gemm`]. Blocks, tiles and threads only decide who computes it, and when.

use ndarray::{ArrayView2, ArrayViewMut2};
use ternflock_base::split::chunk;

use super::arithmetic::Arithmetic;
use super::pack::{Lines, pack, pack_on_threads};
use super::tile::Tile;
use super::workspace::Workspace;
use crate::blocks::Shared;
use crate::threads::{for_each, threads};

/// A product with fewer multiply-adds is not worth a second thread.
pub const WORTH_SHARING: usize = 1 << 21;

/// The maximum number of words of a line that are packed together.
pub const MOST_WORDS: usize = 768;

/// The maximum number of words of a block, so that it stays in the L2 cache.
pub const BLOCK_WORDS: usize = 96 * 1024;

/// The maximum number of lines of the shared part.
pub const SHARED_LINES: usize = 2048;

/// `c = beta c + (alpha a) b`, with `c` `[m, n]`.
pub fn multiply(
    arithmetic: Arithmetic,
    workspace: &mut Workspace,
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
#[derive(Clone, Copy)]
struct Packed<'a> {
    first_panel: usize,
    panels: usize,
    values: &'a [u32],
}

impl Product<'_> {
    fn compute(&self, words: usize, threads: usize, workspace: &mut Workspace) {
        let rows_are_shared = self.rows.values.nrows() <= self.columns.values.nrows();
        let (shared, own) =
            if rows_are_shared { (&self.rows, &self.columns) } else { (&self.columns, &self.rows) };
        let panels = |lines: &Lines<'_>| lines.cut.panels(lines.values.nrows());
        let (shared_panels, own_panels) = (panels(shared), panels(own));
        let (words_parts, shared_parts) =
            (words.div_ceil(MOST_WORDS).max(1), (shared_panels * shared.cut.most).div_ceil(SHARED_LINES));
        for shared_part in 0..shared_parts {
            let shared_panels = chunk(0..shared_panels, shared_parts, shared_part);
            for words_part in 0..words_parts {
                let words = chunk(0..words, words_parts, words_part);
                let beta = if words_part == 0 { self.beta } else { 1.0 };
                let (buffer, scratch) = workspace.split(shared_panels.len() * words.len() * shared.cut.width);
                pack_on_threads(
                    self.arithmetic,
                    shared,
                    shared_panels.clone(),
                    words.clone(),
                    threads,
                    buffer,
                );
                let shared_part =
                    Packed { first_panel: shared_panels.start, panels: shared_panels.len(), values: buffer };
                // As few blocks as fit the cache, and equally many for every thread.
                let most = (BLOCK_WORDS / (words.len() * own.cut.width).max(1)).max(1);
                let blocks = own_panels.div_ceil(most).next_multiple_of(threads).min(own_panels);
                let task = |block: usize| {
                    let panels = chunk(0..own_panels, blocks, block);
                    scratch.with(panels.len() * words.len() * own.cut.width, |buffer| {
                        let buffer: &mut [u32] = bytemuck::cast_slice_mut(buffer);
                        pack(self.arithmetic, own, panels.clone(), words.clone(), buffer);
                        let own = Packed { first_panel: panels.start, panels: panels.len(), values: buffer };
                        let (rows, columns) =
                            if rows_are_shared { (shared_part, own) } else { (own, shared_part) };
                        // SAFETY: the blocks of different tasks have different sums.
                        unsafe { self.tiles(rows, columns, words.len(), beta, rows_are_shared) };
                    });
                };
                if threads == 1 { (0..blocks).for_each(task) } else { for_each(blocks, task) }
            }
        }
    }

    /// All tiles of packed rows and columns. The panel of the outer loop stays in the L1 cache.
    ///
    /// # Safety
    /// No other code accesses these sums.
    unsafe fn tiles(
        &self,
        rows: Packed<'_>,
        columns: Packed<'_>,
        words: usize,
        beta: f32,
        rows_outside: bool,
    ) {
        let (outer, inner) =
            if rows_outside { (rows.panels, columns.panels) } else { (columns.panels, rows.panels) };
        for outer in 0..outer {
            for inner in 0..inner {
                let (row, column) = if rows_outside { (outer, inner) } else { (inner, outer) };
                // SAFETY: guaranteed by the caller.
                unsafe { self.tile(rows, row, columns, column, words, beta) };
            }
        }
    }

    /// # Safety
    /// No other code accesses these sums.
    unsafe fn tile(
        &self,
        rows: Packed<'_>,
        row: usize,
        columns: Packed<'_>,
        column: usize,
        words: usize,
        beta: f32,
    ) {
        let (a_width, b_width) = (self.rows.cut.width, self.columns.cut.width);
        let (a, b) = (&rows.values[row * words * a_width..], &columns.values[column * words * b_width..]);
        assert!(a.len() >= words * a_width && b.len() >= words * b_width);
        let own_rows = self.rows.cut.panel(self.rows.values.nrows(), rows.first_panel + row);
        let own_columns = self.columns.cut.panel(self.columns.values.nrows(), columns.first_panel + column);
        let place = own_rows.start as isize * self.strides[0] + own_columns.start as isize * self.strides[1];
        // SAFETY: rows and columns of `c`.
        let c = unsafe { self.c.at(0).offset(place) };
        let tile = Tile {
            words,
            a: a.as_ptr(),
            a_width,
            b: b.as_ptr(),
            b_width,
            beta,
            c,
            row_stride: self.strides[0],
        };
        // SAFETY: the panels are as long as asserted, and the caller guarantees the sums.
        unsafe { tile.compute(self.arithmetic, own_rows.len(), own_columns.len(), self.strides[1]) };
    }
}
