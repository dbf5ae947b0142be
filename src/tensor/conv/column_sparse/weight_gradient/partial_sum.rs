//! The sums of some work items: packs the samples of each and adds them to the sums of one group and channel block.

use std::ops::Range;

use super::dy_plane;
use super::kernel::WeightGradientKernel;
use crate::blocks::{Machine, parts};
use crate::conv::column_sparse::layout::{ChannelBlock, ColumnLayout};
use crate::conv::column_sparse::padded::Samples;
use crate::conv::partial_sums::{Planes, WorkItems};
use crate::simd::{const_dispatch, dispatch};

/// Columns per tile.
const COLUMNS: usize = 3;

fn most_filters(machine: Machine) -> usize {
    if machine.registers >= 32 { 8 } else { 4 }
}

/// A partial sum of one group and one block of its channels.
pub struct PartialSum<'a> {
    pub layout: &'a ColumnLayout,
    pub channel_block: &'a ChannelBlock,
    pub items: &'a WorkItems,
    /// The group's.
    pub x: &'a [f32],
    /// The group's data, and everything after it.
    pub dy: &'a [f32],
}

impl PartialSum<'_> {
    /// Overwrites `sums` `[F, columns of the channel block]` with those of the work items `own`.
    pub fn compute(&self, own: Range<usize>, scratch: &mut [f32], sums: &mut [f32]) {
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

    /// Blocks of filters and of the block's columns, in the order in which their sums are stored.
    fn tiles(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + use<> {
        let (filters, columns) = (self.layout.filters, self.channel_block.columns.len());
        let most = most_filters(self.layout.machine);
        parts(filters, most).flat_map(move |f| parts(columns, COLUMNS).map(move |k| (f.clone(), k)))
    }

    /// Adds the packed data to the sums.
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
