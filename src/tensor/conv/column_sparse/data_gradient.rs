//! dx at the pixel under column k at (p, q): the sum over the columns there of sum over f of w[f, k] dy[f, p, q, n].
//!
//! A kernel computes the inner sums of K columns, 6 with AVX2, and adds each to its pixel of a packed copy of
//! dx, which stays in the L2 cache. The copy is then written to dx without its padding.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use pulp::{Simd, WithSimd};

use super::ColumnSparse;
use super::layout::{ChannelBlock, ColumnLayout};
use super::padded::Samples;
use crate::blocks::{Machine, Shared, parts};
use crate::conv::pack::{Lines, pack};
use crate::simd::{const_dispatch, dispatch};
use crate::threads::for_each;

/// Columns per block.
fn most_columns(machine: Machine) -> usize {
    if machine.registers >= 32 { 8 } else { 6 }
}

/// The scratch space per thread, in elements: dx of a channel block, and a row of dy.
pub fn scratch(layout: &ColumnLayout) -> usize {
    let channels =
        layout.channel_blocks.iter().map(|channel_block| channel_block.channels.len()).max().unwrap_or(0);
    let lines =
        channels * layout.images.lines(layout.images.rows) + layout.filters * layout.shape.window.output.1;
    lines * 2 * layout.machine.lanes
}

/// One group's `weight` `[F, K]` as `[F, K of a block]`, block by block of each channel block.
fn pack_weights(layout: &ColumnLayout, weight: &[f32], to: &mut [f32]) {
    let mut to = to.iter_mut();
    for channel_block in &layout.channel_blocks {
        for block in parts(channel_block.columns.len(), most_columns(layout.machine)) {
            for filter in weight.chunks_exact(layout.columns.len()) {
                let from = &filter[channel_block.columns.start + block.start..][..block.len()];
                to.by_ref().take(from.len()).zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// See [`super::super::algorithm::Convolve::data_gradient`]; `weight` is `[F, K]`.
pub fn compute(of: &mut ColumnSparse, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    let ColumnSparse { layout, packed, scratch, .. } = of;
    let weights: &mut [f32] = bytemuck::cast_slice_mut(packed);
    for (from, to) in weight.chunks_exact(layout.weights()).zip(weights.chunks_exact_mut(layout.weights())) {
        pack_weights(layout, from, to);
    }
    let window = layout.shape.group();
    let (map, images) = (window.positions() * batch, window.image() * batch);
    assert_eq!(dy.len(), layout.shape.filters * map, "dy is that of the shape");
    assert_eq!(dx.len(), layout.shape.groups * images, "the images are those of the shape");
    // Channels that no column reads.
    for (channel, image) in dx.chunks_exact_mut(images / window.channels).enumerate() {
        if layout.channels.binary_search(&(channel % window.channels)).is_err() {
            image.fill(0.0);
        }
    }
    let (channel_blocks, blocks) = (layout.channel_blocks.len(), layout.machine.blocks(batch));
    let (dx, room) = (Shared(dx.as_mut_ptr()), self::scratch(layout));
    for_each(layout.shape.groups * channel_blocks * blocks, |task| {
        let group = task / (channel_blocks * blocks);
        let channel_block = &layout.channel_blocks[task / blocks % channel_blocks];
        let block = layout.machine.block(batch, task % blocks);
        let samples = Samples { block, lanes: layout.machine.lanes, batch };
        let dy = &dy[group * layout.filters * map..][..layout.filters * map];
        let weights = &weights[group * layout.weights()..][..layout.weights()];
        let lines = channel_block.channels.len() * layout.images.lines(layout.images.rows);
        scratch.with(room, |scratch| {
            let (dx_packed, row) = scratch.split_at_mut(lines * samples.width());
            dx_packed.fill(0.0);
            for p in 0..window.output.0 {
                pack_row(layout, p, samples, dy, row);
                add_row(layout, channel_block, p, samples.block.vectors, weights, row, dx_packed);
            }
            // SAFETY: the group's images, as asserted; tasks write different groups, channels or blocks.
            unsafe {
                let images = Shared(dx.at(group * images));
                let channels = &layout.channels[channel_block.channels.clone()];
                layout.images.unpack(channels, samples, dx_packed, images);
            }
        });
    });
}

/// Copies row `p` of dy to `[Q, F, width]`.
fn pack_row(layout: &ColumnLayout, p: usize, samples: Samples, dy: &[f32], row: &mut [f32]) {
    let ((_, columns), batch) = (layout.shape.window.output, samples.batch);
    let (width, map) = (samples.width(), layout.shape.window.positions() * batch);
    let copy = Lines {
        count: [1, layout.filters, columns],
        from: [0, map, batch],
        to: [0, width, layout.filters * width],
    };
    pack(&copy, samples.block, samples.lanes, &dy[p * columns * batch + samples.block.first..], row);
}

/// Adds the contribution of row `p` of dy to the pixels of the channel block.
fn add_row(
    layout: &ColumnLayout,
    channel_block: &ChannelBlock,
    p: usize,
    vectors: usize,
    weights: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    for block in parts(channel_block.columns.len(), most_columns(layout.machine)) {
        let columns = channel_block.columns.start + block.start..channel_block.columns.start + block.end;
        let offsets = &layout.data_gradient.offsets[columns.clone()];
        let weights = &weights[columns.start * layout.filters..columns.end * layout.filters];
        const_dispatch!(K = block.len(), in [1, 2, 3, 4, 5, 6, 7, 8]; V = vectors, in [1, 2];
            dispatch(DataGradientKernel::<K, V> { layout, offsets, weights, p, dy, dx })
        );
    }
}

/// K columns and a row of outputs, for V vectors of samples.
struct DataGradientKernel<'a, const K: usize, const V: usize> {
    layout: &'a ColumnLayout,
    /// Of the K columns.
    offsets: &'a [usize],
    /// `[F, K]`.
    weights: &'a [f32],
    p: usize,
    /// `[Q, F, V lanes]`.
    dy: &'a [f32],
    /// `[channels, rows, columns, V lanes]`.
    dx: &'a mut [f32],
}

impl<const K: usize, const V: usize> WithSimd for DataGradientKernel<'_, K, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let DataGradientKernel { layout, offsets, weights, p, dy, dx } = self;
        let (width, filters, columns) = (V * S::F32_LANES, layout.filters, layout.shape.window.output.1);
        let offsets: [usize; K] = std::array::from_fn(|k| offsets[k]);
        let most = offsets.iter().max().copied().unwrap_or(0) + layout.images.place(p, columns - 1);
        assert!((most + 1) * width <= dx.len());
        assert!(columns * filters * width <= dy.len() && filters * K <= weights.len());
        for q in 0..columns {
            let mut sums = [[simd.splat_f32s(0.0); V]; K];
            // SAFETY: dy, the weights and the pixels under the columns exist, as asserted.
            unsafe {
                let (mut slope, mut weight) = (dy.as_ptr().add(q * filters * width), weights.as_ptr());
                for _ in 0..filters {
                    let mut values = [simd.splat_f32s(0.0); V];
                    for v in 0..V {
                        values[v] = slope.add(v * S::F32_LANES).cast::<S::f32s>().read_unaligned();
                    }
                    for k in 0..K {
                        let weight = simd.splat_f32s(*weight.add(k));
                        for v in 0..V {
                            sums[k][v] = simd.mul_add_e_f32s(weight, values[v], sums[k][v]);
                        }
                    }
                    slope = slope.add(width);
                    weight = weight.add(K);
                }
                let pixel = dx.as_mut_ptr().add(layout.images.place(p, q) * width);
                for k in 0..K {
                    for v in 0..V {
                        let at = pixel.add(offsets[k] * width + v * S::F32_LANES).cast::<S::f32s>();
                        at.write_unaligned(simd.add_f32s(at.read_unaligned(), sums[k][v]));
                    }
                }
            }
        }
    }
}
