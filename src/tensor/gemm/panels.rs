//! Repeated products of a few rows with the same matrix, as a recurrent layer computes at every step.
//!
//! A general product packs both operands. With 20 rows, packing the matrix takes a large part of the time.
//! Here the matrix is packed once, and each product packs only its rows. Where BLAS does
//! not compute, the bits are those of [`super::gemm`].
//!
//! A matrix that exceeds the L2 cache is read again for each product. Every second product reads it from its last
//! panel to its first, and so begins with the panels that the previous product left in the cache.

use std::ops::Range;

use ndarray::ArrayView2;
use ternflock_base::split::chunk;

use super::arithmetic::Arithmetic;
use super::blocked::WORTH_SHARING;
use super::lines::Lines;
use super::matrix;
use super::pack::pack_on_threads;
use super::tile::Tile;
use crate::bf16::Precision;
use crate::blocks::{Line, Shared, room};
use crate::buffers::{Buffers, elements};
use crate::threads::{for_each, threads};

/// The maximum number of words along k before the kernel moves to the next panels: this part of a panel of the matrix
/// stays in the L1 cache.
const MOST_WORDS: usize = 256;

/// The same maximum with AMX, where the only panel of rows stays in the L1 cache.
const MOST_TILED_WORDS: usize = 352;

/// The maximum number of words of a matrix that stays in the L2 cache from one product to the next.
const KEPT_WORDS: usize = 256 * 1024;

/// A matrix `[k, n]`, packed.
pub struct Panels {
    arithmetic: Arithmetic,
    k: usize,
    n: usize,
    /// Whether the next product begins with the last panel.
    backward: bool,
    packed: Vec<Line>,
    /// The rows of the current product.
    rows: Vec<Line>,
}

impl Panels {
    /// Room for products of up to `rows` rows with any matrix of as many elements as one of `[k, n]` or `[n,
    /// k]`.
    ///
    /// # Errors
    /// Those of [`Buffers::zeros`].
    pub fn new(
        precision: Precision,
        [rows, k, n]: [usize; 3],
        buffers: &mut Buffers,
    ) -> Result<Panels, String> {
        let arithmetic = Arithmetic::of(precision);
        let (cut, matrix) = (arithmetic.rows(), arithmetic.streamed_columns());
        let matrix = |k, n| elements(&[arithmetic.words(k), matrix.panels(n), matrix.width]);
        let packed = room(matrix(k, n)?.max(matrix(n, k)?), buffers)?;
        let rows = elements(&[cut.panels(rows), arithmetic.words(k.max(n)), cut.width])?;
        Ok(Panels { arithmetic, k: 0, n: 0, backward: false, packed, rows: room(rows, buffers)? })
    }

    /// Packs `b` `[k, n]`.
    ///
    /// # Panics
    /// If it does not fit into the buffer.
    pub fn pack(&mut self, b: ArrayView2<f32>) {
        (self.k, self.n) = b.dim();
        let cut = self.arithmetic.streamed_columns();
        let lines = Lines { values: b.reversed_axes(), scale: 1.0, padding: -0.0, cut };
        let (panels, words) = (cut.panels(self.n), self.arithmetic.words(self.k));
        let packed: &mut [u32] = bytemuck::cast_slice_mut(&mut self.packed);
        let packed = &mut packed[..panels * words * cut.width];
        pack_on_threads(self.arithmetic, &lines, 0..panels, 0..words, threads(), packed);
    }

    /// `c = beta c + a b`, with `a` `[m, k]` and `c` `[m, n]`, row-major. With `beta` 0 the old content of
    /// `c` is not read.
    ///
    /// # Panics
    /// If `a` or `c` is shorter than that, or if there are more rows than the buffer has room for.
    pub fn multiply(&mut self, m: usize, a: &[f32], beta: f32, c: &mut [f32]) {
        let (k, n) = (self.k, self.n);
        let (a, c) = (matrix(a, m, k), Shared(c[..m * n].as_mut_ptr()));
        let threads = if m.saturating_mul(n).saturating_mul(k) >= WORTH_SHARING { threads() } else { 1 };
        let lines = Lines { values: a, scale: 1.0, padding: 0.0, cut: self.arithmetic.rows() };
        let (panels, words) = (lines.cut.panels(m), self.arithmetic.words(k));
        let rows: &mut [u32] = bytemuck::cast_slice_mut(&mut self.rows);
        let rows = &mut rows[..panels * words * lines.cut.width];
        pack_on_threads(self.arithmetic, &lines, 0..panels, 0..words, threads, rows);
        let panels = self.arithmetic.streamed_columns().panels(n);
        let tiled = self.arithmetic == Arithmetic::TiledBf16;
        let most = if tiled { MOST_TILED_WORDS } else { MOST_WORDS };
        self.backward = !self.backward;
        let this = &*self;
        let cut = lines.cut;
        for_each(panels.min(threads), |task| {
            let panels = chunk(0..panels, panels.min(threads), task);
            for rows in cut.by_size(m, 0..cut.panels(m)).into_iter().filter(|rows| !rows.is_empty()) {
                this.arithmetic.with_rows(cut.panel(m, rows.start).len(), || {
                    for own in this.arithmetic.word_parts(words, most) {
                        for place in panels.clone() {
                            let panel =
                                if this.backward { panels.start + panels.end - 1 - place } else { place };
                            this.panel(panel, rows.clone(), m, own.clone(), beta, c);
                        }
                    }
                });
            }
        });
    }

    /// Adds the products of some words to the sums in some rows of `c` and the columns of a panel.
    fn panel(&self, panel: usize, own_rows: Range<usize>, m: usize, own: Range<usize>, beta: f32, c: Shared) {
        let (rows, columns) = (self.arithmetic.rows(), self.arithmetic.streamed_columns());
        let words = self.arithmetic.words(self.k);
        let (packed, length): (&[u32], _) = (bytemuck::cast_slice(&self.packed), words * columns.width);
        let packed = &packed[panel * length..(panel + 1) * length];
        let next_b = if self.backward { -(length as isize) } else { length as isize };
        let exceeds = columns.panels(self.n) * length > KEPT_WORDS;
        let all_rows: &[u32] = bytemuck::cast_slice(&self.rows);
        let panel = columns.panel(self.n, panel);
        for row in own_rows.clone() {
            let lines = rows.panel(m, row);
            let a = &all_rows[(row * words + own.start) * rows.width..][..own.len() * rows.width];
            let tile = Tile {
                words: own.len(),
                a: a.as_ptr(),
                a_width: rows.width,
                b: packed[own.start * columns.width..][..own.len() * columns.width].as_ptr(),
                b_width: columns.width,
                a_stays: own_rows.len() == 1,
                next_b: exceeds.then_some(next_b),
                beta: if own.start == 0 { beta } else { 1.0 },
                // SAFETY: the row and the column are in `c`, whose length is asserted in `multiply`.
                c: unsafe { c.at(lines.start * self.n + panel.start) },
                row_stride: self.n as isize,
            };
            // SAFETY: both operands have these words, and no other task accesses these columns of `c`.
            unsafe { tile.compute(self.arithmetic, lines.len(), panel.len(), 1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::integers;
    use crate::{Gemm, matrix_mut, set_threads};
    use proptest::prelude::*;

    /// `beta c + a b`, sum by sum.
    fn plain(
        sizes: [usize; 3],
        a: &[f32],
        b: impl Fn(usize, usize) -> f32,
        beta: f32,
        c: &[f32],
    ) -> Vec<f32> {
        let [m, k, n] = sizes;
        let sum = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b(l, j)).sum::<f32>();
        (0..m * n).map(|at| sum(at / n, at % n) + if beta == 0.0 { 0.0 } else { beta * c[at] }).collect()
    }

    proptest! {
        #[test]
        fn equals_the_triple_loop(m in 1usize..20, n in 1usize..50, k in 1usize..20, beta in 0usize..3) {
            let (a, b, before) = (integers(m * k, 1), integers(n * k, 2), integers(m * n, 3));
            for (precision, transposed) in [Precision::Float32, Precision::Bf16].into_iter().flat_map(|p| [(p, false), (p, true)]) {
                let mut panels = Panels::new(precision, [m, n, k], &mut Buffers::allocating()).unwrap();
                let mut c = if beta == 0 { vec![f32::NAN; m * n] } else { before.clone() };
                let value = |l: usize, j: usize| if transposed { b[j * k + l] } else { b[l * n + j] };
                panels.pack(if transposed { matrix(&b, n, k).reversed_axes() } else { matrix(&b, k, n) });
                panels.multiply(m, &a, beta as f32, &mut c);
                prop_assert_eq!(c, plain([m, k, n], &a, value, beta as f32, &before));
            }
        }
    }

    #[test]
    fn the_bits_are_those_of_the_general_product_on_any_number_of_threads() {
        let wave = |count: usize| (0..count).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>();
        for [m, k, n] in [[20, 203, 808], [33, 650, 260], [1, 1, 5000], [2, 0, 3]] {
            let (a, b) = (wave(m * k), wave(k * n));
            for (precision, beta) in [(Precision::Float32, 0.0), (Precision::Bf16, 1.0)] {
                // Panels without vectors: BLAS computes the general product, and its bits depend on the threads.
                if crate::gemm::own::uses_blas(precision) {
                    continue;
                }
                let mut expected = wave(m * n);
                let mut gemm = Gemm::new(precision, &[], &mut Buffers::allocating()).unwrap();
                gemm.multiply(1.0, matrix(&a, m, k), matrix(&b, k, n), beta, matrix_mut(&mut expected, m, n));
                let mut panels = Panels::new(precision, [m, k, n], &mut Buffers::allocating()).unwrap();
                for count in [1, 2, 3] {
                    set_threads(count).unwrap();
                    panels.pack(matrix(&b, k, n));
                    let mut c = wave(m * n);
                    panels.multiply(m, &a, beta, &mut c);
                    assert!(c == expected, "{m} x {k} x {n} on {count} threads");
                }
                set_threads(1).unwrap();
            }
        }
    }
}
