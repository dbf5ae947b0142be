//! Where columns and their pixels lie in packed copies of the images.

use std::ops::Range;

use super::forward::Forward;
use super::padded::Padded;
use super::{data_gradient, weight_gradient};
use crate::blocks::{Machine, parts};
use crate::buffers::Buffers;
use crate::conv::Shape;

/// The places of the columns and their pixels, computed from the shape and the list of columns.
pub struct ColumnLayout {
    pub shape: Shape,
    pub machine: Machine,
    /// The filters of one group.
    pub filters: usize,
    pub images: Padded,
    /// Channels of a group that some column reads, ascending.
    pub channels: Vec<usize>,
    pub columns: Vec<Column>,
    /// Blocks of channels whose packed images fit into the cache together, and their columns.
    pub channel_blocks: Vec<ChannelBlock>,
    pub forward: Forward,
    /// One channel block at a time.
    pub data_gradient: Slab,
    pub weight_gradient: Slab,
}

/// Rows that are packed together.
#[derive(Default)]
pub struct Slab {
    /// Rows of outputs.
    pub outputs: usize,
    /// Rows of the images that these outputs read.
    pub rows: usize,
    /// By column: the number of lines from the first line of the copy to the one under the column at output
    /// (0, 0).
    pub offsets: Vec<usize>,
}

/// A column of the matrix.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its place in [`ColumnLayout::channels`].
    pub channel: usize,
    /// Its tap.
    pub r: usize,
    pub s: usize,
}

/// Some of the channels and all columns that read them.
#[derive(Clone)]
pub struct ChannelBlock {
    pub channels: Range<usize>,
    pub columns: Range<usize>,
}

impl ColumnLayout {
    /// Lists of the given columns are made even if `buffers` only counts, because the other sizes follow from them.
    pub fn new(
        shape: &Shape,
        columns: &[usize],
        machine: Machine,
        buffers: &mut Buffers,
    ) -> Result<ColumnLayout, String> {
        let (window, taps) = (shape.group(), shape.window.kernel.0 * shape.window.kernel.1);
        let mut channels: Vec<usize> = columns.iter().map(|column| column / taps).collect();
        channels.dedup();
        let column = |&column: &usize| Column {
            channel: channels.partition_point(|&channel| channel < column / taps),
            r: column % taps / window.kernel.1,
            s: column % window.kernel.1,
        };
        let columns: Vec<Column> = columns.iter().map(column).collect();
        let images = Padded::new(&window);
        let image_bytes = images.lines(images.rows) * 2 * machine.lanes * size_of::<f32>();
        let most = (machine.l2_budget() / image_bytes).max(1);
        let before = |channel: usize| columns.partition_point(|column| column.channel < channel);
        let channel_block = |channels: Range<usize>| ChannelBlock {
            columns: before(channels.start)..before(channels.end),
            channels,
        };
        let channel_blocks = parts(channels.len(), most).map(channel_block).collect();
        let filters = shape.filters / shape.groups;
        let [data_gradient, weight_gradient] = Default::default();
        let forward = Forward::new(shape, &columns, channels.len(), machine, buffers)?;
        let mut layout = ColumnLayout {
            shape: *shape,
            machine,
            filters,
            images,
            channels,
            columns,
            channel_blocks,
            forward,
            data_gradient,
            weight_gradient,
        };
        layout.data_gradient = layout.slab(window.output.0, &layout.channel_blocks);
        layout.weight_gradient = layout.slab(weight_gradient::outputs(&layout), &layout.channel_blocks);
        Ok(layout)
    }

    /// Weights of one group.
    pub fn weights(&self) -> usize {
        self.filters * self.columns.len()
    }

    /// The packing of rows for `outputs` rows of outputs at a time, with one of `channel_blocks` at a time.
    fn slab(&self, outputs: usize, channel_blocks: &[ChannelBlock]) -> Slab {
        let rows = self.images.seen(0..outputs).len();
        let offset = |column: &Column, first: usize| {
            self.images.lines((column.channel - first) * rows + column.r) + column.s
        };
        let of_block = |channel_block: &ChannelBlock| {
            let first = channel_block.channels.start;
            self.columns[channel_block.columns.clone()].iter().map(move |column| offset(column, first))
        };
        Slab {
            outputs,
            rows,
            offsets: channel_blocks
                .iter()
                .flat_map(|channel_block| of_block(channel_block).collect::<Vec<_>>())
                .collect(),
        }
    }

    /// The scratch space per thread for each of the three passes.
    pub fn scratch(&self) -> usize {
        self.forward
            .scratch(self.machine)
            .max(data_gradient::scratch(self))
            .max(weight_gradient::scratch(self))
    }
}
