//! The innermost loops of the weight gradient: tiles of F filters and K taps or channels, whose sums stay in
//! registers during a work item.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Taps;
use crate::conv::pass::Pass;
use crate::simd::dispatch;

/// Adds vectors to one of sums.
pub fn add_lanes(values: &[f32], sums: &mut [f32]) {
    struct Add<'a>(&'a [f32], &'a mut [f32]);
    impl WithSimd for Add<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let (values, sum) = (S::as_simd_f32s(self.0).0, &mut S::as_mut_simd_f32s(self.1).0[0]);
            // Four chains: one addition takes four cycles.
            let mut chains = [*sum, simd.splat_f32s(0.0), simd.splat_f32s(0.0), simd.splat_f32s(0.0)];
            let (fours, rest) = values.as_chunks::<4>();
            for four in fours {
                for (chain, value) in chains.iter_mut().zip(four) {
                    *chain = simd.add_f32s(*chain, *value);
                }
            }
            for value in rest {
                chains[0] = simd.add_f32s(chains[0], *value);
            }
            let pair = simd.add_f32s(chains[0], chains[1]);
            *sum = simd.add_f32s(pair, simd.add_f32s(chains[2], chains[3]));
        }
    }
    dispatch(Add(values, sums));
}

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
}

impl<const F: usize, const K: usize> WithSimd for TapKernel<'_, F, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let TapKernel { tiles, outputs, first_row, vectors, x, x_plane, dy, dy_plane, lanes, .. } = self;
        let Pass { row, column, .. } = *self.pass;
        let width = vectors * S::F32_LANES;
        let k_step = if self.along_taps { width } else { x_plane };
        // The distances in elements from one output to the next, along a column and along a row.
        let (x_step, x_row) = (column.stride() * width, row.stride() * column.size * width);
        let (sums, _) = S::as_mut_simd_f32s(lanes);
        for (tile, sums) in tiles.iter().zip(sums.chunks_exact_mut(F * K)) {
            let (rows, columns) = (row.outputs_of(tile.r), column.outputs_of(tile.s));
            let rows = rows.start.max(outputs.start)..rows.end.min(outputs.end);
            if rows.is_empty() || columns.is_empty() {
                continue;
            }
            let (h, v) = (row.pixel(rows.start, tile.r) - first_row, column.pixel(columns.start, tile.s));
            let x_at = tile.c * x_plane + (h * column.size + v) * width;
            let dy_at = ((rows.start - outputs.start) * column.outputs + columns.start) * width;
            let mut accumulators = [[simd.splat_f32s(0.0); K]; F];
            for f in 0..F {
                for k in 0..K {
                    accumulators[f][k] = sums[f * K + k];
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
                        (true, _) => Outputs { x_step: S::F32_LANES, ..line }.multiply_add::<S, F, K, 1>(
                            simd,
                            columns.len() * vectors,
                            &mut accumulators,
                        ),
                        (false, 1) => line.multiply_add::<S, F, K, 1>(simd, columns.len(), &mut accumulators),
                        (false, _) => line.multiply_add::<S, F, K, 2>(simd, columns.len(), &mut accumulators),
                    }
                }
            }
            for f in 0..F {
                for k in 0..K {
                    sums[f * K + k] = accumulators[f][k];
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
    unsafe fn multiply_add<S: Simd, const F: usize, const K: usize, const V: usize>(
        self,
        simd: S,
        positions: usize,
        sums: &mut [[S::f32s; K]; F],
    ) {
        let mut accumulators = *sums;
        let (mut x, mut dy) = (self.x, self.dy);
        for _ in 0..positions {
            for v in 0..V {
                // SAFETY: the caller guarantees that all of this is packed.
                unsafe {
                    let mut values = [simd.splat_f32s(0.0); K];
                    for k in 0..K {
                        let at = x.add(k * self.k_step + v * S::F32_LANES);
                        values[k] = at.cast::<S::f32s>().read_unaligned();
                    }
                    for f in 0..F {
                        let at = dy.add(f * self.dy_plane + v * S::F32_LANES);
                        let slope = at.cast::<S::f32s>().read_unaligned();
                        for k in 0..K {
                            accumulators[f][k] = simd.mul_add_e_f32s(slope, values[k], accumulators[f][k]);
                        }
                    }
                }
            }
            // After the last position, neither is read.
            x = x.wrapping_add(self.x_step);
            dy = dy.wrapping_add(V * S::F32_LANES);
        }
        *sums = accumulators;
    }
}
