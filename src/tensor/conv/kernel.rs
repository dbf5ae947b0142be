//! The micro-kernel of the forward pass and the data gradient: the inner loops of a matrix product whose columns are
//! samples.
//!
//! For F filters and V vectors of samples, it keeps F V sums in registers (6 x 2 of AVX2's 16). For each
//! channel of each tap, it loads V vectors of the images, broadcasts F weights and performs F V
//! multiply-adds. Both inputs are read sequentially: images are packed as `[H, W, C, samples]` and weights as
//! `[R, S, C, F]`, so that along a row of the window, taps and channels are contiguous. The loops skip taps
//! over padding.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::pass::Pass;
use crate::blocks::{Block, Shared};

/// One block of samples and one of filters, for some rows of outputs.
pub struct CorrelationKernel<'a, const F: usize, const V: usize> {
    /// The geometry.
    pub pass: &'a Pass,
    /// `[rows, W, C, V lanes]`, from row `first_row` on.
    pub packed: &'a [f32],
    /// The first row that is packed.
    pub first_row: usize,
    /// `[R, S, C, F]`.
    pub weights: &'a [f32],
    /// The initial values of the sums.
    pub bias: [f32; F],
    /// Rows of outputs to compute.
    pub outputs: Range<usize>,
    /// `[filters, row.places, column.places, batch]` from the first of the F filters on.
    pub out: Shared,
    /// N.
    pub batch: usize,
    /// The samples.
    pub block: Block,
}

impl<const F: usize, const V: usize> WithSimd for CorrelationKernel<'_, F, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Pass { channels, row, column, .. } = *self.pass;
        let width = V * S::F32_LANES;
        // The distances in elements from one row of taps to the next, in the images and in the weights.
        let (image_row, weight_row) = (column.size * channels * width, column.taps * channels * F);
        let map = row.places * column.places * self.batch;
        for p in self.outputs.clone() {
            let (rows, h) = row.inside(p);
            for q in 0..column.outputs {
                let (columns, v) = column.inside(q);
                let run = columns.len() * channels;
                let mut sums = [[simd.splat_f32s(0.0); V]; F];
                for f in 0..F {
                    sums[f] = [simd.splat_f32s(self.bias[f]); V];
                }
                if run > 0 && !rows.is_empty() {
                    let image = ((h - self.first_row) * column.size + v) * channels * width;
                    let weight = (rows.start * column.taps + columns.start) * channels * F;
                    assert!(image + (rows.len() - 1) * image_row + run * width <= self.packed.len());
                    assert!(weight + (rows.len() - 1) * weight_row + run * F <= self.weights.len());
                    for r in 0..rows.len() {
                        // SAFETY: taps inside the window are inside the packed rows and the weights, as asserted.
                        unsafe {
                            let image = self.packed.as_ptr().add(image + r * image_row);
                            let weight = self.weights.as_ptr().add(weight + r * weight_row);
                            multiply_add::<S, F, V>(simd, image, weight, run, &mut sums);
                        }
                    }
                }
                let place = (row.place(p) * column.places + column.place(q)) * self.batch + self.block.first;
                for f in 0..F {
                    // SAFETY: the place is inside filter f's map, and no other task has this block of these rows.
                    unsafe { store(simd, sums[f], self.out.at(f * map + place), self.block.samples) };
                }
            }
        }
    }
}

/// `sums[f][v] += weight[k, f] image[k, v]` over `run` values of k.
#[inline(always)]
unsafe fn multiply_add<S: Simd, const F: usize, const V: usize>(
    simd: S,
    mut image: *const f32,
    mut weight: *const f32,
    run: usize,
    sums: &mut [[S::f32s; V]; F],
) {
    let mut accumulators = *sums;
    for _ in 0..run {
        // SAFETY: the caller guarantees `run` times V vectors and F weights there.
        unsafe {
            let mut values = [simd.splat_f32s(0.0); V];
            for v in 0..V {
                values[v] = image.add(v * S::F32_LANES).cast::<S::f32s>().read_unaligned();
            }
            for f in 0..F {
                let weight = simd.splat_f32s(*weight.add(f));
                for v in 0..V {
                    accumulators[f][v] = simd.mul_add_e_f32s(weight, values[v], accumulators[f][v]);
                }
            }
            image = image.add(V * S::F32_LANES);
            weight = weight.add(F);
        }
    }
    *sums = accumulators;
}

/// Writes the first `samples` values.
///
/// # Safety
/// There is space for them at `to`, which no other code accesses.
#[inline(always)]
pub unsafe fn store<S: Simd, const V: usize>(simd: S, values: [S::f32s; V], to: *mut f32, samples: usize) {
    let _ = simd;
    if samples == V * S::F32_LANES {
        for v in 0..V {
            // SAFETY: the caller guarantees space for all of them.
            unsafe { to.add(v * S::F32_LANES).cast::<S::f32s>().write_unaligned(values[v]) };
        }
    } else {
        let values: &[f32] = bytemuck::cast_slice(&values);
        // SAFETY: the caller guarantees space for `samples` values, and `values` has as many.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), to, samples) };
    }
}
