//! The innermost loops of the weight gradient: tiles of F filters and K taps or channels, whose sums stay in
//! registers during a work item. At its end, the lanes of each sum are added.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::Taps;
use crate::conv::arithmetic::{Arithmetic, Kernel};
use crate::conv::pass::Pass;

/// All tiles with K taps, for F filters and one work item.
pub struct TapKernel<'a, const F: usize, const K: usize> {
    pub pass: &'a Pass,
    pub along_taps: bool,
    pub tiles: &'a [Taps],
    /// The rows of the work item.
    pub outputs: Range<usize>,
    pub vectors: usize,
    /// `[C, x_rows, W, vectors lanes]`, with `x_plane` elements from one channel to the next. The first row that the
    /// outputs see, `first_row`, is in place `first_place`. The place after the last one is the first one.
    pub x: &'a [f32],
    pub x_plane: usize,
    pub x_rows: usize,
    pub first_row: usize,
    pub first_place: usize,
    /// `[F, rows, Q, vectors lanes]`, with `dy_plane` elements from one filter to the next.
    pub dy: &'a [f32],
    pub dy_plane: usize,
    /// The sums that the products are added to: `[tiles, F, K]`.
    pub sums: &'a mut [f32],
}

impl<const F: usize, const K: usize> Kernel for TapKernel<'_, F, K> {
    #[inline(always)]
    fn run<A: Arithmetic>(self, arithmetic: A) {
        let TapKernel { tiles, outputs, vectors, x, x_rows, x_plane, dy, dy_plane, sums, .. } = self;
        let (first_row, first_place) = (self.first_row, self.first_place);
        let Pass { row, column, .. } = *self.pass;
        let width = vectors * A::LANES;
        let k_step = if self.along_taps { width } else { x_plane };
        // The distances in elements from one output of a row to the next.
        let x_step = column.stride() * width;
        for (tile, sums) in tiles.iter().zip(sums.chunks_exact_mut(F * K)) {
            let rows = tile.rows[0].max(outputs.start)..tile.rows[1].min(outputs.end);
            let columns = tile.columns[0]..tile.columns[1];
            if rows.is_empty() || columns.is_empty() {
                continue;
            }
            let v = column.pixel(columns.start, tile.s);
            let mut accumulators = [[arithmetic.splat(0.0); K]; F];
            for p in rows {
                let h = row.pixel(p, tile.r) - first_row + first_place;
                let h = if h < x_rows { h } else { h - x_rows };
                let x_at = tile.c * x_plane + (h * column.size + v) * width;
                let dy_at = ((p - outputs.start) * column.outputs + columns.start) * width;
                let last_x = x_at + (columns.len() - 1) * x_step + (K - 1) * k_step + width;
                let last_dy = dy_at + (F - 1) * dy_plane + columns.len() * width;
                assert!(last_x <= x.len() && last_dy <= dy.len());
                // SAFETY: the outputs and the pixels under them are packed, as asserted.
                unsafe {
                    let (x, dy) = (x.as_ptr().add(x_at), dy.as_ptr().add(dy_at));
                    let line = Outputs { x, x_step, k_step, dy, dy_plane };
                    // With a stride of 1, all vectors of a row are contiguous.
                    match (x_step == width, vectors) {
                        (true, _) => Outputs { x_step: A::LANES, ..line }.multiply_add::<A, F, K, 1>(
                            arithmetic,
                            columns.len() * vectors,
                            &mut accumulators,
                        ),
                        (false, 1) => {
                            line.multiply_add::<A, F, K, 1>(arithmetic, columns.len(), &mut accumulators)
                        }
                        (false, _) => {
                            line.multiply_add::<A, F, K, 2>(arithmetic, columns.len(), &mut accumulators)
                        }
                    }
                }
            }
            // A copy, so that the accumulators themselves need no address and stay in registers.
            let accumulated = accumulators;
            arithmetic.add_lanes(accumulated.as_flattened(), sums);
        }
    }
}

/// A row of outputs and the pixels under it.
struct Outputs {
    x: *const f32,
    x_step: usize,
    k_step: usize,
    dy: *const f32,
    dy_plane: usize,
}

impl Outputs {
    /// `sums[f][k] += dy[f] x[k]` for V vectors at each of `positions` places.
    #[inline(always)]
    unsafe fn multiply_add<A: Arithmetic, const F: usize, const K: usize, const V: usize>(
        self,
        arithmetic: A,
        positions: usize,
        sums: &mut [[A::Sums; K]; F],
    ) {
        let mut accumulators = *sums;
        let (mut x, mut dy) = (self.x, self.dy);
        for _ in 0..positions {
            for v in 0..V {
                // SAFETY: the caller guarantees that all of this is packed.
                unsafe {
                    let at = x.add(v * A::LANES);
                    let mut words = [arithmetic.load(at); K];
                    for k in 1..K {
                        words[k] = arithmetic.load(at.add(k * self.k_step));
                    }
                    for f in 0..F {
                        let slope = arithmetic.load(dy.add(f * self.dy_plane + v * A::LANES));
                        for k in 0..K {
                            accumulators[f][k] = arithmetic.multiply_add(slope, words[k], accumulators[f][k]);
                        }
                    }
                }
            }
            // After the last position, neither is read.
            x = x.wrapping_add(self.x_step);
            dy = dy.wrapping_add(V * A::LANES);
        }
        *sums = accumulators;
    }
}
