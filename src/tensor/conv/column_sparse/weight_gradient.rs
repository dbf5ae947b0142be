//! dw[f, k] = sum over p, q, n of dy[f, p, q, n] x_k[p, q, n], x_k being the pixel under column k.
//!
//! As in the gradient of whole kernels ([`super::super::weight_gradient`]) both sides are vectors of samples: F filters times K
//! columns (4 x 3 with AVX2) stay in registers over a work item, their lanes rest in memory between work items and are added
//! at the very end; work items are split among a few partial sums, whatever the threads are, so that the result does not
//! depend on them.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::padded::Samples;
use super::{ChannelBlock, ColumnLayout, ColumnSparse, own};
use crate::blocks::{Machine, Shared, part, parts};
use crate::conv::pack::{Lines, pack};
use crate::simd::{dispatch, sum};
use crate::threads::for_each;

/// The most partial sums.
pub const MAX_PARTIAL_SUMS: usize = 4;

/// Positions of a work item, about: a tile's lines of dy and x stay in the first-level cache, and loading and storing the
/// sums costs little beside adding to them.
const POSITIONS: usize = 64;

/// Distance between packed filters of dy beyond their contents: they must not all fall into the same sets of a cache.
const GAP: usize = 16;

/// Columns of a tile.
const COLUMNS: usize = 3;

fn most_filters(machine: Machine) -> usize {
    if machine.registers >= 32 { 8 } else { 4 }
}

/// Rows of outputs of a work item.
pub fn outputs(layout: &ColumnLayout) -> usize {
    let (rows, columns) = layout.shape.window.output;
    (POSITIONS / columns).clamp(1, rows)
}

/// Elements from one packed filter of dy to the next.
fn plane(layout: &ColumnLayout) -> usize {
    layout.weight_gradient.outputs * layout.shape.window.output.1 * 2 * layout.machine.lanes + GAP
}

/// Room a thread needs, in elements: x and dy of a work item, and lanes of sums.
pub fn scratch(layout: &ColumnLayout) -> usize {
    let most = |count: fn(&ChannelBlock) -> usize| layout.channel_blocks.iter().map(count).max().unwrap_or(0);
    let x = most(|channel_block| channel_block.channels.len())
        * layout.images.lines(layout.weight_gradient.rows)
        * 2;
    let sums = layout.filters * most(|channel_block| channel_block.columns.len());
    (x + sums) * layout.machine.lanes + layout.filters * plane(layout)
}

impl ColumnSparse {
    /// See [`super::super::Convolution::weight_gradient`]; `weight` is `[F, K]`.
    pub fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        let ColumnSparse { layout, scratch, sums, .. } = self;
        let window = layout.shape.group();
        let (map, images) = (window.positions() * batch, window.image() * batch);
        assert_eq!(dy.len(), layout.shape.filters * map, "dy is that of the shape");
        assert_eq!(x.len(), layout.shape.groups * images, "the images are those of the shape");
        if let Some(bias) = bias {
            bias.iter_mut().zip(dy.chunks_exact(map)).for_each(|(bias, map)| *bias = sum(map));
        }
        let work_items =
            layout.machine.blocks(batch) * window.output.0.div_ceil(layout.weight_gradient.outputs);
        let items_per_sum = work_items.div_ceil(MAX_PARTIAL_SUMS).max(1);
        let partial_sums = work_items.div_ceil(items_per_sum);
        let (channel_blocks, groups) = (layout.channel_blocks.len(), layout.shape.groups);
        let (shared, room) = (Shared(sums.as_mut_ptr()), self::scratch(layout));
        for_each(partial_sums * groups * channel_blocks, |task| {
            let (group, channel_block) =
                (task / channel_blocks % groups, &layout.channel_blocks[task % channel_blocks]);
            let partial_sum = task / (channel_blocks * groups);
            let first = (partial_sum * groups + group) * layout.weights()
                + channel_block.columns.start * layout.filters;
            // SAFETY: inside the sums, and each task has a part of its own.
            let sums = unsafe {
                std::slice::from_raw_parts_mut(shared.at(first), channel_block.columns.len() * layout.filters)
            };
            let partial_sum = PartialSum {
                layout,
                channel_block,
                work_items: part(work_items, items_per_sum, partial_sum),
                batch,
                x: &x[group * images..][..images],
                dy: &dy[group * layout.filters * map..][..layout.filters * map],
            };
            partial_sum.run(&mut bytemuck::cast_slice_mut(&mut own(scratch, room))[..room], sums);
        });
        layout.add_partial_sums(partial_sums, sums, weight);
    }
}

impl ColumnLayout {
    /// Adds the partial sums, `[partial sums, groups, channel blocks, F, columns of the channel block]`, in order.
    fn add_partial_sums(&self, partial_sums: usize, sums: &[f32], weight: &mut [f32]) {
        let each = self.shape.groups * self.weights();
        for (group, weight) in weight.chunks_exact_mut(self.weights()).enumerate() {
            for channel_block in &self.channel_blocks {
                let first = group * self.weights() + channel_block.columns.start * self.filters;
                for (f, filter) in weight.chunks_exact_mut(self.columns.len()).enumerate() {
                    for (k, weight) in filter[channel_block.columns.clone()].iter_mut().enumerate() {
                        let at = first + f * channel_block.columns.len() + k;
                        *weight = (0..partial_sums).map(|partial_sum| sums[partial_sum * each + at]).sum();
                    }
                }
            }
        }
    }
}

/// Some work items of one group and one channel block of its channels.
struct PartialSum<'a> {
    layout: &'a ColumnLayout,
    channel_block: &'a ChannelBlock,
    work_items: Range<usize>,
    batch: usize,
    /// The group's.
    x: &'a [f32],
    dy: &'a [f32],
}

impl PartialSum<'_> {
    /// Overwrites `sums` `[F, columns of the channel block]` by those of the work items.
    fn run(self, scratch: &mut [f32], sums: &mut [f32]) {
        let PartialSum { layout, channel_block, batch, .. } = self;
        let lanes = layout.machine.lanes;
        let (resting, scratch) = scratch.split_at_mut(sums.len() * lanes);
        let (dy, packed) = scratch.split_at_mut(layout.filters * plane(layout));
        resting.fill(0.0);
        let blocks = layout.machine.blocks(batch);
        for work_item in self.work_items.clone() {
            let block = layout.machine.block(batch, work_item % blocks);
            let samples = Samples { block, lanes, batch };
            let outputs =
                part(layout.shape.window.output.0, layout.weight_gradient.outputs, work_item / blocks);
            let channels = &layout.channels[channel_block.channels.clone()];
            let seen = layout.images.seen(outputs.clone());
            layout.images.pack(channels, seen, layout.weight_gradient.rows, samples, self.x, packed);
            self.pack_slopes(outputs.clone(), samples, dy);
            self.add(outputs.len(), block.vectors, packed, dy, resting);
        }
        self.finish(resting, sums);
    }

    /// Copies rows of dy to `[F, rows, Q, width]`.
    fn pack_slopes(&self, outputs: Range<usize>, samples: Samples, packed: &mut [f32]) {
        let window = self.layout.shape.window;
        let copy = Lines {
            count: [1, self.layout.filters, outputs.len() * window.output.1],
            from: [0, window.positions() * self.batch, self.batch],
            to: [0, plane(self.layout), samples.width()],
        };
        let first = outputs.start * window.output.1 * self.batch + samples.block.first;
        pack(&copy, samples.block, samples.lanes, &self.dy[first..], packed);
    }

    /// Blocks of filters and of the channel block's columns, in the order in which their sums rest.
    fn tiles(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + use<> {
        let (filters, columns) = (self.layout.filters, self.channel_block.columns.len());
        let most = most_filters(self.layout.machine);
        parts(filters, most).flat_map(move |f| parts(columns, COLUMNS).map(move |k| (f.clone(), k)))
    }

    /// Adds what is packed to the sums.
    fn add(&self, outputs: usize, vectors: usize, x: &[f32], dy: &[f32], resting: &mut [f32]) {
        let (layout, mut rest) = (self.layout, resting);
        for (filters, columns) in self.tiles() {
            let (lanes, others) = rest.split_at_mut(filters.len() * columns.len() * layout.machine.lanes);
            rest = others;
            let first = self.channel_block.columns.start;
            let offsets = &layout.weight_gradient.offsets[first + columns.start..first + columns.end];
            let dy = &dy[filters.start * plane(layout)..filters.end * plane(layout)];
            WeightGradientBlock { layout, offsets, outputs, vectors, x, dy, lanes }.on(filters.len());
        }
    }

    /// Adds the lanes of each sum.
    fn finish(&self, resting: &[f32], sums: &mut [f32]) {
        let mut lanes = resting.chunks_exact(self.layout.machine.lanes);
        for (filters, columns) in self.tiles() {
            for f in filters {
                for k in columns.clone() {
                    let lanes = lanes.next().map_or(0.0, |lanes| lanes.iter().sum());
                    sums[f * self.channel_block.columns.len() + k] = lanes;
                }
            }
        }
    }
}

/// Some filters and columns, and one work item.
struct WeightGradientBlock<'a> {
    layout: &'a ColumnLayout,
    /// Of the K columns.
    offsets: &'a [usize],
    /// Rows of outputs.
    outputs: usize,
    vectors: usize,
    x: &'a [f32],
    dy: &'a [f32],
    lanes: &'a mut [f32],
}

impl WeightGradientBlock<'_> {
    fn on(self, filters: usize) {
        match self.offsets.len() {
            1 => self.columns::<1>(filters),
            2 => self.columns::<2>(filters),
            _ => self.columns::<COLUMNS>(filters),
        }
    }

    fn columns<const K: usize>(self, filters: usize) {
        match filters {
            1 => self.vectors::<1, K>(),
            2 => self.vectors::<2, K>(),
            3 => self.vectors::<3, K>(),
            4 => self.vectors::<4, K>(),
            5 => self.vectors::<5, K>(),
            6 => self.vectors::<6, K>(),
            7 => self.vectors::<7, K>(),
            8 => self.vectors::<8, K>(),
            other => unreachable!("a block of {other} filters"),
        }
    }

    fn vectors<const F: usize, const K: usize>(self) {
        match self.vectors {
            1 => dispatch(WeightGradientKernel::<F, K, 1>(self)),
            _ => dispatch(WeightGradientKernel::<F, K, 2>(self)),
        }
    }
}

struct WeightGradientKernel<'a, const F: usize, const K: usize, const V: usize>(WeightGradientBlock<'a>);

impl<const F: usize, const K: usize, const V: usize> WithSimd for WeightGradientKernel<'_, F, K, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let WeightGradientBlock { layout, offsets, outputs, x, dy, lanes, .. } = self.0;
        let (width, columns, dy_plane) = (V * S::F32_LANES, layout.shape.window.output.1, plane(layout));
        let step = layout.images.stride.1 * width;
        let offsets: [usize; K] = std::array::from_fn(|k| offsets[k] * width);
        let most = offsets.iter().max().copied().unwrap_or(0);
        assert!(most + (layout.images.place(outputs - 1, columns - 1) + 1) * width <= x.len());
        assert!((F - 1) * dy_plane + outputs * columns * width <= dy.len());
        let (sums, _) = S::as_mut_simd_f32s(lanes);
        let mut accumulators = [[simd.splat_f32s(0.0); K]; F];
        for f in 0..F {
            for k in 0..K {
                accumulators[f][k] = sums[f * K + k];
            }
        }
        for p in 0..outputs {
            // SAFETY: the work item's rows of dy and the pixels under them are packed, as asserted.
            unsafe {
                let mut pixel = x.as_ptr().add(layout.images.place(p, 0) * width);
                let mut slope = dy.as_ptr().add(p * columns * width);
                for _ in 0..columns {
                    for v in 0..V {
                        let mut values = [simd.splat_f32s(0.0); K];
                        for k in 0..K {
                            let at = pixel.add(offsets[k] + v * S::F32_LANES);
                            values[k] = at.cast::<S::f32s>().read_unaligned();
                        }
                        for f in 0..F {
                            let at = slope.add(f * dy_plane + v * S::F32_LANES);
                            let slope = at.cast::<S::f32s>().read_unaligned();
                            for k in 0..K {
                                accumulators[f][k] =
                                    simd.mul_add_e_f32s(slope, values[k], accumulators[f][k]);
                            }
                        }
                    }
                    // After the last output neither is read.
                    pixel = pixel.wrapping_add(step);
                    slope = slope.wrapping_add(width);
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
