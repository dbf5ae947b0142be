//! The innermost loops of the forward pass.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Forward;
use crate::blocks::Shared;
use crate::conv::arithmetic::store;
use crate::conv::column_sparse::padded::Samples;

/// F filters and one block of V vectors of samples, for some rows of outputs.
pub struct ForwardKernel<'a, const F: usize, const T: usize, const V: usize> {
    pub forward: &'a Forward,
    /// `[seen, W, channels, V lanes]`.
    pub packed: &'a [f32],
    pub seen: Range<usize>,
    /// `[K, F]`.
    pub weights: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub outputs: Range<usize>,
    /// `[F, P, Q, batch]`.
    pub y: Shared,
    pub samples: Samples,
}

impl<const F: usize, const T: usize, const V: usize> WithSimd for ForwardKernel<'_, F, T, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ForwardKernel { forward, packed, seen, weights, outputs, .. } = &self;
        let Forward { column, channels, offsets, starts, .. } = forward;
        assert!(seen.len() * column.size * channels * V * S::F32_LANES <= packed.len());
        assert!(offsets.len() * F <= weights.len() && starts.last() == Some(&offsets.len()));
        let is_whole = |q: usize| column.inside(q).0 == (0..column.taps);
        for p in outputs.clone() {
            let mut q = 0;
            while q < column.outputs {
                // Windows that extend beyond the left border come before those that extend beyond the right
                // border.
                if q + T <= column.outputs && is_whole(q) && is_whole(q + T - 1) {
                    self.outputs::<S, T>(simd, p, q);
                    q += T;
                } else {
                    self.outputs::<S, 1>(simd, p, q);
                    q += 1;
                }
            }
        }
    }
}

impl<const F: usize, const T: usize, const V: usize> ForwardKernel<'_, F, T, V> {
    /// COUNT outputs (p, q), (p, q + 1), ...: if there are several, all windows are inside the image's
    /// columns.
    #[inline(always)]
    fn outputs<S: Simd, const COUNT: usize>(&self, simd: S, p: usize, q: usize) {
        let ForwardKernel { forward, packed, seen, bias, y, samples, .. } = self;
        let Forward { row, column, channels, starts, .. } = forward;
        let width = V * S::F32_LANES;
        let ((rows, h), (columns, v)) = (row.inside(p), column.inside(q));
        let begin: [f32; F] = bias.map_or([0.0; F], |bias| std::array::from_fn(|f| bias[f]));
        let mut sums = [[[simd.splat_f32s(0.0); V]; F]; COUNT];
        for t in 0..COUNT {
            for f in 0..F {
                sums[t][f] = [simd.splat_f32s(begin[f]); V];
            }
        }
        if !rows.is_empty() && !columns.is_empty() {
            // The line under tap (0, 0), which may be before the first one.
            let first = (h - seen.start) * column.size + v;
            let origin = first as isize - (rows.start * column.size + columns.start) as isize;
            let image = packed.as_ptr().wrapping_offset(origin * (channels * width) as isize);
            // SAFETY: the taps are inside the packed rows, and the weights exist, as asserted.
            unsafe {
                if columns.len() == column.taps {
                    let whole = starts[rows.start * column.taps]..starts[rows.end * column.taps];
                    self.add::<S, COUNT>(simd, image, whole, &mut sums);
                } else {
                    // This is not a closure, because a closure would be compiled without the vector
                    // instructions.
                    for r in rows {
                        let taps = r * column.taps;
                        let run = starts[taps + columns.start]..starts[taps + columns.end];
                        self.add::<S, COUNT>(simd, image, run, &mut sums);
                    }
                }
            }
        }
        let map = row.outputs * column.outputs * samples.batch;
        for t in 0..COUNT {
            let place = (p * column.outputs + q + t) * samples.batch + samples.block.first;
            for f in 0..F {
                // SAFETY: the place is inside filter f's map, and no other task has this block of these rows.
                unsafe { store(sums[t][f], y.at(f * map + place), samples.block.samples) };
            }
        }
    }

    /// `sums[t][f] += weight[k, f] x_k[t]` for a run of columns.
    #[inline(always)]
    unsafe fn add<S: Simd, const COUNT: usize>(
        &self,
        simd: S,
        image: *const f32,
        run: Range<usize>,
        sums: &mut [[[S::f32s; V]; F]; COUNT],
    ) {
        let ForwardKernel { forward, weights, .. } = self;
        let width = V * S::F32_LANES;
        let step = forward.column.stride() * forward.channels * width;
        let mut accumulators = *sums;
        let mut weight = weights[run.start * F..].as_ptr();
        for &offset in &forward.offsets[run] {
            // SAFETY: the caller's.
            unsafe {
                let pixel = image.wrapping_add(offset * width);
                // The operand with fewer vectors stays in registers.
                if F <= COUNT * V {
                    let mut by = [simd.splat_f32s(0.0); F];
                    for f in 0..F {
                        by[f] = simd.splat_f32s(*weight.add(f));
                    }
                    for t in 0..COUNT {
                        for v in 0..V {
                            let at = pixel.add(t * step + v * S::F32_LANES);
                            let value = at.cast::<S::f32s>().read_unaligned();
                            for f in 0..F {
                                accumulators[t][f][v] =
                                    simd.mul_add_e_f32s(by[f], value, accumulators[t][f][v]);
                            }
                        }
                    }
                } else {
                    let mut values = [[simd.splat_f32s(0.0); V]; COUNT];
                    for t in 0..COUNT {
                        for v in 0..V {
                            let at = pixel.add(t * step + v * S::F32_LANES);
                            values[t][v] = at.cast::<S::f32s>().read_unaligned();
                        }
                    }
                    for f in 0..F {
                        let by = simd.splat_f32s(*weight.add(f));
                        for t in 0..COUNT {
                            for v in 0..V {
                                accumulators[t][f][v] =
                                    simd.mul_add_e_f32s(by, values[t][v], accumulators[t][f][v]);
                            }
                        }
                    }
                }
                weight = weight.add(F);
            }
        }
        *sums = accumulators;
    }
}
