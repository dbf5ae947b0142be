//! y[f, p, q, n] = sum over k of w[f, k] x_k[p, q, n], where x_k is the pixel under column k.
//!
//! A kernel keeps the sums of F filters at T neighbouring outputs, with V vectors of samples each, in
//! registers (12 of AVX2's 16). It goes through the columns once: for each, it loads T V vectors of the copy
//! and broadcasts F weights. With few filters, several outputs are computed at a time, because a few sums
//! alone would wait for their additions.
//!
//! The copy is `[H, W, C, samples]` and columns are in the order (r, s, c). So they are read in memory order,
//! and at the border, the columns over the image are a few runs of the list.

mod kernel;

use std::ops::Range;

use super::ColumnSparse;
use super::layout::{Column, ColumnLayout};
use super::padded::Samples;
use crate::blocks::{Machine, Shared, most, part, parts};
use crate::buffers::Buffers;
use crate::conv::Shape;
use crate::conv::pack::{Lines, pack};
use crate::conv::pass::Axis;
use crate::simd::{const_dispatch, dispatch};
use crate::threads::for_each;
use kernel::ForwardKernel;

/// The columns in the order (r, s, c), and the geometry.
pub struct Forward {
    row: Axis,
    column: Axis,
    /// Channels that are packed.
    channels: usize,
    /// Rows of outputs that are computed from one packed copy.
    outputs: usize,
    /// By place in this order: the place among the layout's columns.
    order: Vec<usize>,
    /// By place in this order: the distance in lines from the one under tap (0, 0) of the first channel.
    offsets: Vec<usize>,
    /// By tap: the number of columns of the taps before it.
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
        let fits =
            |outputs: usize| forward.elements(outputs, machine) * size_of::<f32>() <= machine.l2_budget();
        forward.outputs = most(pass.row.outputs, fits);
        Ok(forward)
    }

    fn elements(&self, outputs: usize, machine: Machine) -> usize {
        self.row.most_seen(outputs) * self.column.size * self.channels * 2 * machine.lanes
    }

    /// The scratch space per thread, in elements.
    pub fn scratch(&self, machine: Machine) -> usize {
        self.elements(self.outputs, machine)
    }
}

/// Filters per block.
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
    // Neighbouring blocks are processed one after the other: together they read complete cache lines of the
    // images.
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
                // SAFETY: the first of the filters is one of the output; tasks write different blocks, rows
                // or groups.
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

/// T: the number of neighbouring outputs that a kernel computes together; more for fewer filters.
const fn outputs_at_once(filters: usize) -> usize {
    match filters {
        1 => 4,
        2 => 3,
        3 => 2,
        _ => 1,
    }
}
