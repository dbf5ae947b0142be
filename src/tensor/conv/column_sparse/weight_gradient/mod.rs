//! dw[f, k] = sum over p, q, n of dy[f, p, q, n] x_k[p, q, n], where x_k is the pixel under column k.
//!
//! As in the gradient of complete kernels ([`super::super::weight_gradient`]), both inputs are vectors of
//! samples: F filters times K columns (4 x 3 with AVX2) stay in registers during a work item
//! ([`super::super::partial_sums`]). Their lanes are stored in memory between work items and are added at the
//! very end.

mod kernel;
mod partial_sum;

use super::ColumnSparse;
use super::layout::{ChannelBlock, ColumnLayout};
use crate::buffers::Buffers;
use crate::conv::operands::Operands;
use crate::conv::partial_sums::{PartialSums, WorkItems, item_rows, plane};
use crate::simd::sum;
use partial_sum::PartialSum;

/// Rows of outputs per work item.
pub fn outputs(layout: &ColumnLayout) -> usize {
    item_rows(layout.shape.window.output, layout.machine, Operands::Float32)
}

/// The distance in elements from one packed filter of dy to the next.
fn dy_plane(layout: &ColumnLayout) -> usize {
    plane(layout.weight_gradient.outputs * layout.shape.window.output.1, layout.machine, Operands::Float32)
}

/// The scratch space per thread, in elements: x and dy of a work item, and lanes of sums.
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
    let items = WorkItems {
        machine: layout.machine,
        operands: Operands::Float32,
        batch,
        rows: window.output.0,
        item_rows,
    };
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
