//! Convolution on some columns of its matrix: a filter reads these places of its window and no others ("shape-wise"
//! sparsity: W. Wen et al., "Learning Structured Sparsity in Deep Neural Networks", 2016).
//!
//! It is the dense product `[F, K] x [K, P Q N]`, K columns being kept, by kernels that read the K rows of the second matrix
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
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Shape;
use crate::blocks::{Line, Machine, parts, room};
use crate::threads::{thread, threads};
use forward::Forward;
use padded::Padded;

/// Packed images stay in the second-level cache while all filters read them.
const PACKED_BYTES: usize = 192 * 1024;

/// The convolution `shape` on kept columns, planned, with its buffers.
pub struct Kept {
    plan: Plan,
    /// Packed weights of all groups.
    packed: Vec<Line>,
    /// `[deals, weights]` of the weight gradient.
    sums: Vec<f32>,
    /// Room of each thread.
    scratch: Vec<Mutex<Vec<Line>>>,
}

/// What follows from the shape and the columns.
struct Plan {
    shape: Shape,
    machine: Machine,
    /// Of one group.
    filters: usize,
    images: Padded,
    /// Channels of a group that some column reads, ascending.
    channels: Vec<usize>,
    columns: Vec<Column>,
    /// Channels whose packed images fit the cache together, and their columns.
    chunks: Vec<Chunk>,
    forward: Forward,
    /// A chunk at a time.
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
    /// Its place in [`Plan::channels`].
    channel: usize,
    /// Its tap.
    r: usize,
    s: usize,
}

/// Some of the channels and all columns that read them.
#[derive(Clone)]
struct Chunk {
    channels: Range<usize>,
    columns: Range<usize>,
}

impl Plan {
    fn new(shape: &Shape, kept: &[usize], machine: Machine) -> Plan {
        let (window, taps) = (shape.group(), shape.window.kernel.0 * shape.window.kernel.1);
        let mut channels: Vec<usize> = kept.iter().map(|column| column / taps).collect();
        channels.dedup();
        let column = |&column: &usize| Column {
            channel: channels.partition_point(|&channel| channel < column / taps),
            r: column % taps / window.kernel.1,
            s: column % window.kernel.1,
        };
        let columns: Vec<Column> = kept.iter().map(column).collect();
        let images = Padded::new(&window);
        let image_bytes = images.lines(images.rows) * 2 * machine.lanes * size_of::<f32>();
        let most = (PACKED_BYTES / image_bytes).max(1);
        let before = |channel: usize| columns.partition_point(|column| column.channel < channel);
        let chunk = |channels: Range<usize>| Chunk {
            columns: before(channels.start)..before(channels.end),
            channels,
        };
        let chunks = parts(channels.len(), most).map(chunk).collect();
        let filters = shape.filters / shape.groups;
        let [data_gradient, weight_gradient] = Default::default();
        let forward = Forward::new(shape, &columns, channels.len(), machine);
        let mut plan = Plan {
            shape: *shape,
            machine,
            filters,
            images,
            channels,
            columns,
            chunks,
            forward,
            data_gradient,
            weight_gradient,
        };
        plan.data_gradient = plan.slab(window.output.0, &plan.chunks);
        plan.weight_gradient = plan.slab(weight_gradient::outputs(&plan), &plan.chunks);
        plan
    }

    /// Weights of one group.
    fn weights(&self) -> usize {
        self.filters * self.columns.len()
    }

    /// What packing rows for `outputs` rows of outputs at a time comes to, a chunk of `chunks` at a time.
    fn slab(&self, outputs: usize, chunks: &[Chunk]) -> Slab {
        let rows = self.images.seen(0..outputs).len();
        let offset = |column: &Column, first: usize| {
            self.images.lines((column.channel - first) * rows + column.r) + column.s
        };
        let of_chunk = |chunk: &Chunk| {
            let first = chunk.channels.start;
            self.columns[chunk.columns.clone()].iter().map(move |column| offset(column, first))
        };
        Slab {
            outputs,
            rows,
            offsets: chunks.iter().flat_map(|chunk| of_chunk(chunk).collect::<Vec<_>>()).collect(),
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

/// Elements of all buffers.
pub fn elements(shape: &Shape, kept: &[usize]) -> usize {
    let plan = Plan::new(shape, kept, Machine::this());
    let weights = shape.groups * plan.weights();
    weights + threads() * plan.scratch() + weight_gradient::MOST_DEALS * weights
}

impl Kept {
    /// On the columns `kept` of each group's matrix, ascending, with room for as many threads as there are now.
    pub fn new(shape: &Shape, kept: &[usize]) -> Kept {
        let plan = Plan::new(shape, kept, Machine::this());
        let elements = plan.scratch();
        let weights = shape.groups * plan.weights();
        Kept {
            packed: room(weights),
            sums: vec![0.0; weight_gradient::MOST_DEALS * weights],
            scratch: (0..threads()).map(|_| Mutex::new(room(elements))).collect(),
            plan,
        }
    }
}

/// This thread's room, which is made larger if threads have become more than there were.
fn own(scratch: &[Mutex<Vec<Line>>], elements: usize) -> MutexGuard<'_, Vec<Line>> {
    let mut own = scratch[thread() % scratch.len()].lock().unwrap_or_else(PoisonError::into_inner);
    if own.len() * 16 < elements {
        *own = room(elements);
    }
    own
}
