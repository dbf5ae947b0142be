//! The micro-kernel of the forward pass and the data gradient: the inner loops of a matrix product whose columns are
//! samples.
//!
//! For F filters and V vectors of samples, it keeps F V sums in registers (6 x 2 of AVX2's 16). For each
//! channel of each tap, it loads V vectors of the images, broadcasts F weights and performs F V
//! multiply-adds. Both inputs are read sequentially: images are packed as `[H, W, C, samples]` and weights as
//! `[R, S, C, F]`, so that along a row of the window, taps and channels are contiguous. The loops skip taps
//! over padding.
//!
//! A window rarely fits into the L1 cache, so most vectors come from the L2 cache. With AVX-512, each vector is a
//! cache line, which the kernel prefetches a few values ahead.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::arithmetic::{Arithmetic, Kernel, store};
use super::pass::Pass;
use crate::blocks::{Block, LINE, Shared, prefetch};

/// How many values ahead a kernel prefetches, if a vector is a cache line.
const AHEAD: usize = 8;

/// One block of samples and one of filters, for some rows of outputs.
pub struct CorrelationKernel<'a, const F: usize, const V: usize> {
    /// The geometry.
    pub pass: &'a Pass,
    /// The packed words per pixel: C, or half as many. See [`super::operands`].
    pub words: usize,
    /// The words from one that the kernel reads to the next.
    pub step: usize,
    /// `[rows, W, words, V lanes]`, from row `first_row` on.
    pub packed: &'a [f32],
    /// The first row that is packed.
    pub first_row: usize,
    /// `[R, S, words, F]`.
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

impl<const F: usize, const V: usize> Kernel for CorrelationKernel<'_, F, V> {
    #[inline(always)]
    fn run<A: Arithmetic>(self, arithmetic: A) {
        let Pass { channels, row, column, .. } = *self.pass;
        let words = self.words;
        let width = V * A::LANES;
        // A float32 kernel reads every word.
        let step = if A::VALUES == 1 { 1 } else { self.step };
        // The distances in elements from one row of taps to the next, in the images and in the weights.
        let (image_row, weight_row) = (column.size * words * width, column.taps * words * F);
        let map = row.places * column.places * self.batch;
        for p in self.outputs.clone() {
            let (rows, h) = row.inside(p);
            for q in 0..column.outputs {
                let (columns, v) = column.inside(q);
                let run = columns.len() * words;
                let values = columns.len() * channels;
                let mut sums = [[arithmetic.splat(0.0); V]; F];
                for f in 0..F {
                    sums[f] = [arithmetic.splat(self.bias[f]); V];
                }
                if run > 0 && !rows.is_empty() {
                    let image = ((h - self.first_row) * column.size + v) * words * width;
                    let weight = (rows.start * column.taps + columns.start) * words * F;
                    assert!(image + (rows.len() - 1) * image_row + run * width <= self.packed.len());
                    assert!(weight + (rows.len() - 1) * weight_row + run * F <= self.weights.len());
                    for r in 0..rows.len() {
                        // SAFETY: taps inside the window are inside the packed rows and the weights, as asserted.
                        unsafe {
                            let image = self.packed.as_ptr().add(image + r * image_row);
                            let weight = self.weights.as_ptr().add(weight + r * weight_row);
                            multiply_add::<A, F, V>(arithmetic, image, weight, step, values, &mut sums);
                        }
                    }
                }
                let place = (row.place(p) * column.places + column.place(q)) * self.batch + self.block.first;
                for f in 0..F {
                    // SAFETY: the place is inside filter f's map, and no other task has this block of these rows.
                    unsafe { store(sums[f], self.out.at(f * map + place), self.block.samples) };
                }
            }
        }
    }
}

/// `sums[f][v] += weight[k, f] image[k, v]` over `values` values of k, which are in every `step`-th word.
#[inline(always)]
unsafe fn multiply_add<A: Arithmetic, const F: usize, const V: usize>(
    arithmetic: A,
    mut image: *const f32,
    mut weight: *const f32,
    step: usize,
    values: usize,
    sums: &mut [[A::Sums; V]; F],
) {
    let mut accumulators = *sums;
    for _ in 0..values / A::VALUES {
        if A::LANES == LINE {
            (0..V).for_each(|v| prefetch(image.wrapping_add((AHEAD * step * V + v) * A::LANES)));
        }
        // SAFETY: the caller guarantees V vectors and F weights there.
        unsafe {
            let mut words = [arithmetic.load(image); V];
            for v in 1..V {
                words[v] = arithmetic.load(image.add(v * A::LANES));
            }
            for f in 0..F {
                let weight = arithmetic.broadcast(weight.add(f));
                for v in 0..V {
                    accumulators[f][v] = arithmetic.multiply_add(weight, words[v], accumulators[f][v]);
                }
            }
        }
        // After the last word, neither is read.
        image = image.wrapping_add(step * V * A::LANES);
        weight = weight.wrapping_add(step * F);
    }
    if !values.is_multiple_of(A::VALUES) {
        for f in 0..F {
            for v in 0..V {
                // SAFETY: as above.
                unsafe {
                    let (weight, word) =
                        (arithmetic.broadcast(weight.add(f)), arithmetic.load(image.add(v * A::LANES)));
                    accumulators[f][v] = arithmetic.multiply_add_first(weight, word, accumulators[f][v]);
                }
            }
        }
    }
    *sums = accumulators;
}
