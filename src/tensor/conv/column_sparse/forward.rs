//! y[f, p, q, n] = sum over k of w[f, k] x_k[p, q, n], x_k being the pixel under column k.
//!
//! A kernel keeps the sums of F filters at T neighbouring outputs, V vectors of samples each, in registers (12 of AVX2's 16),
//! and goes through the columns once: for each it loads T V vectors of the copy and broadcasts F weights. Several
//! outputs at a time are for few filters, which alone would wait for their sums.
//!
//! The copy is `[H, W, C, samples]` and columns stand in the order of (r, s, c), so that they are read in the order of
//! memory, and those that lie over the image where others lie over padding are a few runs of the list.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::padded::Samples;
use super::{Column, ColumnLayout, ColumnSparse};
use crate::blocks::{L2_BUDGET_BYTES, Machine, Shared, most, part, parts};
use crate::buffers::Buffers;
use crate::conv::Shape;
use crate::conv::kernel::store;
use crate::conv::pack::{Lines, pack};
use crate::conv::pass::Axis;
use crate::simd::{const_dispatch, dispatch};
use crate::threads::for_each;

/// The columns in the order of (r, s, c), and the geometry.
pub struct Forward {
    row: Axis,
    column: Axis,
    /// Channels that are packed.
    channels: usize,
    /// Rows of outputs that are computed from one packed copy.
    outputs: usize,
    /// By place in this order: the place among the layout's columns.
    order: Vec<usize>,
    /// By place in this order: samples' lines from the one under tap (0, 0) of the first channel.
    offsets: Vec<usize>,
    /// By tap: columns of the taps before it.
    starts: Vec<usize>,
}

impl Forward {
    pub fn new(
        shape: &Shape,
        columns: &[Column],
        channels: usize,
        machine: Machine,
        buffers: &mut Buffers,
    ) -> Result<Forward, String> {
        let pass = shape.pass();
        let tap = |column: &Column| column.r * pass.column.taps + column.s;
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by_key(|&k| (tap(&columns[k]), columns[k].channel));
        let offset = |&k: &usize| {
            let Column { channel, r, s } = columns[k];
            (r * pass.column.size + s) * channels + channel
        };
        let before = |tap_number: usize| order.partition_point(|&k| tap(&columns[k]) < tap_number);
        let starts = buffers.list((0..pass.row.taps * pass.column.taps + 1).map(before))?;
        let mut forward = Forward {
            row: pass.row,
            column: pass.column,
            channels,
            outputs: 1,
            offsets: order.iter().map(offset).collect(),
            order,
            starts,
        };
        let fits = |outputs: usize| forward.elements(outputs, machine) * size_of::<f32>() <= L2_BUDGET_BYTES;
        forward.outputs = most(pass.row.outputs, fits);
        Ok(forward)
    }

    fn elements(&self, outputs: usize, machine: Machine) -> usize {
        self.row.most_seen(outputs) * self.column.size * self.channels * 2 * machine.lanes
    }

    /// Room a thread needs, in elements.
    pub fn scratch(&self, machine: Machine) -> usize {
        self.elements(self.outputs, machine)
    }
}

/// Filters of a block.
fn most_filters(machine: Machine) -> usize {
    if machine.registers >= 32 { 8 } else { 6 }
}

impl ColumnLayout {
    /// One group's `weight` `[F, K]` as `[K, F of a block]`, block by block, columns in the order of the forward pass.
    fn pack_forward(&self, weight: &[f32], to: &mut [f32]) {
        let columns = self.columns.len();
        let mut to = to.iter_mut();
        for block in parts(self.filters, most_filters(self.machine)) {
            for k in &self.forward.order {
                let from = weight[block.start * columns + k..].iter().step_by(columns);
                to.by_ref().take(block.len()).zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }

    /// Copies `rows` of the channels that have columns to `[rows, W, channels, width]`.
    fn pack_rows(&self, rows: Range<usize>, samples: Samples, x: &[f32], packed: &mut [f32]) {
        let (forward, batch) = (&self.forward, samples.batch);
        let (pixels, width) = (forward.column.size, samples.width());
        let pixel = forward.channels * width;
        let copy = Lines {
            count: [1, rows.len(), pixels],
            from: [0, pixels * batch, batch],
            to: [0, pixels * pixel, pixel],
        };
        for (place, channel) in self.channels.iter().enumerate() {
            let first = (channel * forward.row.size + rows.start) * pixels * batch + samples.block.first;
            pack(&copy, samples.block, samples.lanes, &x[first..], &mut packed[place * width..]);
        }
    }
}

/// See [`super::super::algorithm::Convolve::forward`]; `weight` is `[F, K]`.
pub fn compute(
    of: &mut ColumnSparse,
    batch: usize,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    let ColumnSparse { layout, packed, scratch, .. } = of;
    let weights: &mut [f32] = bytemuck::cast_slice_mut(packed);
    for (from, to) in weight.chunks_exact(layout.weights()).zip(weights.chunks_exact_mut(layout.weights())) {
        layout.pack_forward(from, to);
    }
    let (map, images) = (layout.shape.window.positions() * batch, layout.shape.group().image() * batch);
    assert_eq!(y.len(), layout.shape.filters * map, "the output is that of the shape");
    assert_eq!(x.len(), layout.shape.groups * images, "the images are those of the shape");
    let (rows, blocks) = (layout.shape.window.output.0, layout.machine.blocks(batch));
    let (slabs, room) = (rows.div_ceil(layout.forward.outputs), layout.forward.scratch(layout.machine));
    let y = Shared(y.as_mut_ptr());
    // Neighbouring blocks one after the other: together they read whole lines of the images.
    for_each(layout.shape.groups * slabs * blocks, |task| {
        let (group, slab) = (task / (slabs * blocks), task / blocks % slabs);
        let block = layout.machine.block(batch, task % blocks);
        let samples = Samples { block, lanes: layout.machine.lanes, batch };
        let outputs = part(rows, layout.forward.outputs, slab);
        let seen = layout.forward.row.seen(outputs.clone());
        scratch.with(room, |packed| {
            if !seen.is_empty() {
                layout.pack_rows(seen.clone(), samples, &x[group * images..][..images], packed);
            }
            for filters in parts(layout.filters, most_filters(layout.machine)) {
                let first = group * layout.filters + filters.start;
                let weights =
                    &weights[first * layout.columns.len()..][..filters.len() * layout.columns.len()];
                let bias = bias.map(|bias| &bias[first..first + filters.len()]);
                // SAFETY: the first of the filters is one of the output's; tasks write different blocks, rows or groups.
                let y = Shared(unsafe { y.at(first * map) });
                const_dispatch!(F = filters.len(), in [1, 2, 3, 4, 5, 6, 7, 8]; V = block.vectors, in [1, 2];
                    dispatch(ForwardKernel::<F, { outputs_at_once(F) }, V> {
                        forward: &layout.forward,
                        packed,
                        seen: seen.clone(),
                        weights,
                        bias,
                        outputs: outputs.clone(),
                        y,
                        samples,
                    })
                );
            }
        });
    });
}

/// T: neighbouring outputs that a kernel computes together, more of them for fewer filters.
const fn outputs_at_once(filters: usize) -> usize {
    match filters {
        1 => 4,
        2 => 3,
        3 => 2,
        _ => 1,
    }
}

/// F filters of one block of samples, V vectors of them, for some rows of outputs.
struct ForwardKernel<'a, const F: usize, const T: usize, const V: usize> {
    forward: &'a Forward,
    /// `[seen, W, channels, V lanes]`.
    packed: &'a [f32],
    seen: Range<usize>,
    /// `[K, F]`.
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    outputs: Range<usize>,
    /// `[F, P, Q, batch]`.
    y: Shared,
    samples: Samples,
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
                // Windows that stick out of the image on the left stand before those that do on the right.
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
    /// The outputs (p, q), (p, q + 1), ..., COUNT of them: of several all windows are inside the image's columns.
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
            // The line under tap (0, 0), which may lie before the first one.
            let first = (h - seen.start) * column.size + v;
            let origin = first as isize - (rows.start * column.size + columns.start) as isize;
            let image = packed.as_ptr().wrapping_offset(origin * (channels * width) as isize);
            // SAFETY: the taps are inside the rows that are packed, and the weights are there, as asserted.
            unsafe {
                if columns.len() == column.taps {
                    let whole = starts[rows.start * column.taps]..starts[rows.end * column.taps];
                    self.add::<S, COUNT>(simd, image, whole, &mut sums);
                } else {
                    // No closure: it would be compiled without the vector instructions.
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
                unsafe { store(simd, sums[t][f], y.at(f * map + place), samples.block.samples) };
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
                // What there are fewer of waits in registers.
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
