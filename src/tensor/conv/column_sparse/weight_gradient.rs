//! dw[f, k] = sum over p, q, n of dy[f, p, q, n] x_k[p, q, n], x_k being the pixel under column k.
//!
//! As in the gradient of whole kernels ([`super::super::weight_gradient`]) both sides are vectors of samples: F filters times K
//! columns (4 x 3 with AVX2) stay in registers over a work item ([`super::super::partial_sums`]), their lanes rest in memory
//! between work items and are added at the very end.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::padded::Samples;
use super::{ChannelBlock, ColumnLayout, ColumnSparse};
use crate::blocks::{Machine, parts};
use crate::buffers::Buffers;
use crate::conv::partial_sums::{PartialSums, Planes, WorkItems, item_rows, plane};
use crate::simd::{const_dispatch, dispatch, sum};

/// Columns of a tile.
const COLUMNS: usize = 3;

fn most_filters(machine: Machine) -> usize {
    if machine.registers >= 32 { 8 } else { 4 }
}

/// Rows of outputs of a work item.
pub fn outputs(layout: &ColumnLayout) -> usize {
    item_rows(layout.shape.window.output)
}

/// Elements from one packed filter of dy to the next.
fn dy_plane(layout: &ColumnLayout) -> usize {
    plane(layout.weight_gradient.outputs * layout.shape.window.output.1, layout.machine)
}

/// Room a thread needs, in elements: x and dy of a work item, and lanes of sums.
pub fn scratch(layout: &ColumnLayout) -> usize {
    let most = |count: fn(&ChannelBlock) -> usize| layout.channel_blocks.iter().map(count).max().unwrap_or(0);
    let x = most(|channel_block| channel_block.channels.len())
        * layout.images.lines(layout.weight_gradient.rows)
        * 2;
    let sums = layout.filters * most(|channel_block| channel_block.columns.len());
    (x + sums) * layout.machine.lanes + layout.filters * dy_plane(layout)
}

/// The sums of each group and channel block.
pub fn sums(layout: &ColumnLayout, buffers: &mut Buffers) -> Result<PartialSums, String> {
    let start = |channel_block: &ChannelBlock| channel_block.columns.start * layout.filters;
    let starts: Vec<usize> = layout.channel_blocks.iter().map(start).collect();
    PartialSums::new(layout.shape.groups, &starts, layout.weights(), buffers)
}

/// See [`super::super::algorithm::Convolve::weight_gradient`]; `weight` is `[F, K]`.
pub fn compute(
    of: &mut ColumnSparse,
    batch: usize,
    x: &[f32],
    dy: &[f32],
    weight: &mut [f32],
    bias: Option<&mut [f32]>,
) {
    let ColumnSparse { layout, scratch, sums, .. } = of;
    let window = layout.shape.group();
    let (map, images) = (window.positions() * batch, window.image() * batch);
    assert_eq!(dy.len(), layout.shape.filters * map, "dy is that of the shape");
    assert_eq!(x.len(), layout.shape.groups * images, "the images are those of the shape");
    if let Some(bias) = bias {
        bias.iter_mut().zip(dy.chunks_exact(map)).for_each(|(bias, map)| *bias = sum(map));
    }
    let item_rows = layout.weight_gradient.outputs;
    let items = WorkItems { machine: layout.machine, batch, rows: window.output.0, item_rows };
    let (channel_blocks, room) = (layout.channel_blocks.len(), self::scratch(layout));
    let sums = sums.sum(&items, |part, own, sums| {
        let (group, channel_block) = (part / channel_blocks, &layout.channel_blocks[part % channel_blocks]);
        let (x, dy) = (&x[group * images..][..images], &dy[group * layout.filters * map..]);
        let partial_sum = PartialSum { layout, channel_block, items: &items, x, dy };
        scratch.with(room, |scratch| partial_sum.compute(own, scratch, sums));
    });
    layout.in_order(sums, weight);
}

impl ColumnLayout {
    /// Copies `sums` `[groups, channel blocks, F, columns of the channel block]` to `weight` `[groups, F, K]`.
    fn in_order(&self, sums: &[f32], weight: &mut [f32]) {
        let of_group = sums.chunks_exact(self.weights());
        for (sums, weight) in of_group.zip(weight.chunks_exact_mut(self.weights())) {
            for ChannelBlock { columns, .. } in &self.channel_blocks {
                let sums = sums[columns.start * self.filters..].chunks_exact(columns.len());
                for (sums, filter) in sums.zip(weight.chunks_exact_mut(self.columns.len())) {
                    filter[columns.clone()].copy_from_slice(sums);
                }
            }
        }
    }
}

/// A partial sum of one group and one block of its channels.
struct PartialSum<'a> {
    layout: &'a ColumnLayout,
    channel_block: &'a ChannelBlock,
    items: &'a WorkItems,
    /// The group's.
    x: &'a [f32],
    /// The group's, and what follows it.
    dy: &'a [f32],
}

impl PartialSum<'_> {
    /// Overwrites `sums` `[F, columns of the channel block]` by those of the work items `own`.
    fn compute(&self, own: Range<usize>, scratch: &mut [f32], sums: &mut [f32]) {
        let layout = self.layout;
        let (resting, scratch) = scratch.split_at_mut(sums.len() * layout.machine.lanes);
        let (dy, x) = scratch.split_at_mut(layout.filters * dy_plane(layout));
        resting.fill(0.0);
        for item in own {
            let (block, outputs) = self.items.get(item);
            let samples = Samples { block, lanes: layout.machine.lanes, batch: self.items.batch };
            let channels = &layout.channels[self.channel_block.channels.clone()];
            let seen = layout.images.seen(outputs.clone());
            layout.images.pack(channels, seen, layout.weight_gradient.rows, samples, self.x, x);
            let slopes = Planes { count: layout.filters, size: layout.shape.window.output, images: self.dy };
            slopes.pack(self.items, block, outputs.clone(), dy_plane(layout), dy);
            self.add(outputs.len(), block.vectors, x, dy, resting);
        }
        self.finish(resting, sums);
    }

    /// Blocks of filters and of the block's columns, in the order in which their sums rest.
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
            let dy = &dy[filters.start * dy_plane(layout)..filters.end * dy_plane(layout)];
            const_dispatch!(
                F = filters.len(), in [1, 2, 3, 4, 5, 6, 7, 8]; K = columns.len(), in [1, 2, 3]; V = vectors, in [1, 2];
                dispatch(WeightGradientKernel::<F, K, V> { layout, offsets, outputs, x, dy, lanes })
            );
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

/// F filters and K columns, and one work item of V vectors of samples.
struct WeightGradientKernel<'a, const F: usize, const K: usize, const V: usize> {
    layout: &'a ColumnLayout,
    /// Of the K columns.
    offsets: &'a [usize],
    /// Rows of outputs.
    outputs: usize,
    /// `[channels, rows, columns, V lanes]`.
    x: &'a [f32],
    /// `[F, outputs, Q, V lanes]`.
    dy: &'a [f32],
    /// The sums that the products are added to: `[F, K, lanes]`.
    lanes: &'a mut [f32],
}

impl<const F: usize, const K: usize, const V: usize> WithSimd for WeightGradientKernel<'_, F, K, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let WeightGradientKernel { layout, offsets, outputs, x, dy, lanes } = self;
        let (width, columns, dy_plane) = (V * S::F32_LANES, layout.shape.window.output.1, dy_plane(layout));
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
