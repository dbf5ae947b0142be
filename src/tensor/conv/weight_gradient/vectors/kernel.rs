//! The innermost loops of the weight gradient: tiles of F filters and K taps or channels, whose sums stay in
//! registers during a work item.

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
    /// The rows of the work item, and the first packed row of x.
    pub outputs: Range<usize>,
    pub first_row: usize,
    pub vectors: usize,
    /// `[C, rows, W, vectors lanes]`, with `x_plane` elements from one channel to the next.
    pub x: &'a [f32],
    pub x_plane: usize,
    /// `[F, rows, Q, vectors lanes]`, with `dy_plane` elements from one filter to the next.
    pub dy: &'a [f32],
    pub dy_plane: usize,
    /// The sums that the products are added to: `[tiles, F, K, lanes]`.
    pub lanes: &'a mut [f32],
    /// Whether this is the first work item of these sums, which overwrites them.
    pub first: bool,
}

impl<const F: usize, const K: usize> Kernel for TapKernel<'_, F, K> {
    #[inline(always)]
    fn run<A: Arithmetic>(self, arithmetic: A) {
        let TapKernel { tiles, outputs, first_row, vectors, x, x_plane, dy, dy_plane, lanes, first, .. } =
            self;
        let Pass { row, column, .. } = *self.pass;
        let width = vectors * A::LANES;
        let k_step = if self.along_taps { width } else { x_plane };
        // The distances in elements from one output to the next, along a column and along a row.
        let (x_step, x_row) = (column.stride() * width, row.stride() * column.size * width);
        let zeros = [[arithmetic.splat(0.0); K]; F];
        for (tile, tile_sums) in tiles.iter().zip(lanes.chunks_exact_mut(F * K * A::LANES)) {
            let (rows, columns) = (row.outputs_of(tile.r), column.outputs_of(tile.s));
            let rows = rows.start.max(outputs.start)..rows.end.min(outputs.end);
            if rows.is_empty() || columns.is_empty() {
                if first {
                    tile_sums.fill(0.0);
                }
                continue;
            }
            let sums = tile_sums.as_mut_ptr().cast::<A::Sums>();
            let (h, v) = (row.pixel(rows.start, tile.r) - first_row, column.pixel(columns.start, tile.s));
            let x_at = tile.c * x_plane + (h * column.size + v) * width;
            let dy_at = ((rows.start - outputs.start) * column.outputs + columns.start) * width;
            let mut accumulators = [[arithmetic.splat(0.0); K]; F];
            let before = if first { zeros.as_ptr().cast() } else { sums.cast_const() };
            for f in 0..F {
                for k in 0..K {
                    // SAFETY: the tile, or its zeros, have F K vectors.
                    accumulators[f][k] = unsafe { before.add(f * K + k).read_unaligned() };
                }
            }
            let last_x =
                x_at + (rows.len() - 1) * x_row + (columns.len() - 1) * x_step + (K - 1) * k_step + width;
            let last_dy =
                dy_at + (F - 1) * dy_plane + ((rows.len() - 1) * column.outputs + columns.len()) * width;
            assert!(last_x <= x.len() && last_dy <= dy.len());
            for p in 0..rows.len() {
                // SAFETY: positions of the work item and the pixels under them are packed, as asserted.
                unsafe {
                    let x = x.as_ptr().add(x_at + p * x_row);
                    let dy = dy.as_ptr().add(dy_at + p * column.outputs * width);
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
            for f in 0..F {
                for k in 0..K {
                    // SAFETY: as above.
                    unsafe { sums.add(f * K + k).write_unaligned(accumulators[f][k]) };
                }
            }
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
