//! Convolution on some columns of its matrix: a filter reads these places of its window and no others ("shape-wise"
//! sparsity: W. Wen et al., "Learning Structured Sparsity in Deep Neural Networks", 2016).
//!
//! It is the dense product `[F, K] x [K, P Q N]` of the K columns, by kernels that read the K rows of the second matrix
//! where they lie, in a packed copy of the images: column k at position (p, q) is as far from column k at (0, 0) whatever k is,
//! so a list of K distances is all there is to the columns. Channels that no column reads are not even copied.
//!
//! The forward pass leaves out what lies over padding; the gradients have padding in their copies, as zeros.
//!
//! Letters: F filters, C channels, K columns of one group; P Q outputs; images `[C, H, W, N]`, weights `[F, K]`.

mod data_gradient;
mod forward;
mod padded;
#[cfg(test)]
mod tests;
mod weight_gradient;

use std::ops::Range;

use super::Shape;
use super::algorithm::{Algorithm, Convolve, half_a_vector};
use super::partial_sums::PartialSums;
use crate::blocks::{L2_BUDGET_BYTES, Line, Machine, parts, room};
use crate::buffers::Buffers;
use crate::scratch::Scratch;
use forward::Forward;
use padded::Padded;

/// For a weight that has only some of its columns.
pub const ALGORITHM: Algorithm = Algorithm {
    least_batch: |machine, problem| half_a_vector(machine).filter(|_| problem.columns.is_some()),
    build: |problem, buffers| {
        let columns = problem.columns.expect("only a problem with columns is taken");
        Ok(Box::new(ColumnSparse::new(&problem.shape, columns, buffers)?))
    },
};

/// The convolution `shape` on some columns of its matrix, planned, with its buffers.
pub struct ColumnSparse {
    layout: ColumnLayout,
    /// Packed weights of all groups.
    packed: Vec<Line>,
    /// Of the weight gradient: of each group and channel block `[F, columns]`.
    sums: PartialSums,
    /// Room of each thread.
    scratch: Scratch,
}

/// Where the columns and their pixels lie: what follows from the shape and the list of columns.
struct ColumnLayout {
    shape: Shape,
    machine: Machine,
    /// Of one group.
    filters: usize,
    images: Padded,
    /// Channels of a group that some column reads, ascending.
    channels: Vec<usize>,
    columns: Vec<Column>,
    /// Channels whose packed images fit the cache together, and their columns.
    channel_blocks: Vec<ChannelBlock>,
    forward: Forward,
    /// A channel block at a time.
    data_gradient: Slab,
    weight_gradient: Slab,
}

/// Rows that are packed together.
#[derive(Default)]
struct Slab {
    /// Rows of outputs.
    outputs: usize,
    /// Rows of the images that these see.
    rows: usize,
    /// By column: lines from the first of the copy to the one under it at output (0, 0).
    offsets: Vec<usize>,
}

/// A column of the matrix.
#[derive(Clone, Copy)]
struct Column {
    /// Its place in [`ColumnLayout::channels`].
    channel: usize,
    /// Its tap.
    r: usize,
    s: usize,
}

/// Some of the channels and all columns that read them.
#[derive(Clone)]
struct ChannelBlock {
    channels: Range<usize>,
    columns: Range<usize>,
}

impl ColumnLayout {
    /// Also where `buffers` only counts, lists of the given columns are made: the rest follows from them.
    fn new(
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
        let most = (L2_BUDGET_BYTES / image_bytes).max(1);
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
    fn weights(&self) -> usize {
        self.filters * self.columns.len()
    }

    /// What packing rows for `outputs` rows of outputs at a time comes to, one of `channel_blocks` at a time.
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

    /// Room a thread needs for each of the three passes.
    fn scratch(&self) -> usize {
        self.forward
            .scratch(self.machine)
            .max(data_gradient::scratch(self))
            .max(weight_gradient::scratch(self))
    }
}

impl ColumnSparse {
    /// On `columns` of each group's matrix, ascending, with room for as many threads as there are now.
    pub fn new(shape: &Shape, columns: &[usize], buffers: &mut Buffers) -> Result<ColumnSparse, String> {
        let layout = ColumnLayout::new(shape, columns, Machine::this(), buffers)?;
        Ok(ColumnSparse {
            packed: room(shape.groups * layout.weights(), buffers)?,
            sums: weight_gradient::sums(&layout, buffers)?,
            scratch: Scratch::new(layout.scratch(), buffers)?,
            layout,
        })
    }
}

impl Convolve for ColumnSparse {
    fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        forward::compute(self, batch, x, weight, bias, y);
    }

    fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        weight_gradient::compute(self, batch, x, dy, weight, bias);
    }

    fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        data_gradient::compute(self, batch, weight, dy, dx);
    }
}
