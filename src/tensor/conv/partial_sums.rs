//! The common part of the weight gradients of complete kernels and of columns. Both are sums over all
//! positions and samples.
//!
//! A *work item* is a block of samples at some rows of outputs, which is packed at a time. Work items are
//! distributed over a few partial sums, independently of the number of threads, and these are added in order.
//! So the result does not depend on the threads.

use std::ops::Range;

use super::operands::Operands;
use super::pack::{Lines, pack};
use super::pack_pairs::{Half, pack_pairs};

use crate::blocks::{Block, LINE, Machine, Shared, part};
use crate::buffers::Buffers;
use crate::simd::vectorise;
use crate::threads::{for_each, for_each_row, rows_mut};

/// The maximum number of partial sums. They can be computed in parallel, and each needs a copy of all
/// weights.
const MAX_PARTIAL_SUMS: usize = 4;

/// The approximate number of words per packed plane of a work item: the planes of a tile, up to 11, stay in
/// the L1 cache, and loading and storing the sums costs little compared with the additions.
const PLANE: usize = 1024;

/// The additional distance between packed planes, so that they do not all map to the same cache sets.
const GAP: usize = 16;

/// The rows per work item, for the outputs (P, Q). The order of the sums depends on them, so both forms of
/// bf16 values have as many as fit as pairs.
pub fn item_rows((rows, columns): (usize, usize), machine: Machine, operands: Operands) -> usize {
    let vectors = if operands == Operands::Float32 { 2 } else { 1 };
    let positions = PLANE / (vectors * machine.lanes);
    (positions / columns.max(1)).clamp(1, rows.max(1))
}

/// The distance in words from one packed plane of at most `pixels` pixels to the next.
pub fn plane(pixels: usize, machine: Machine, operands: Operands) -> usize {
    let block = machine.block(2 * machine.lanes, 0);
    pixels * operands.sample_words(block, machine) + GAP
}

/// The maximum number of blocks in a group.
pub const MAX_GROUP: usize = 8;

/// The number of blocks in a group. Its samples are in neighbouring cache lines, which processors prefetch together, so
/// all blocks should read theirs soon.
pub fn group(machine: Machine) -> usize {
    (4 * LINE / (2 * machine.lanes)).clamp(1, MAX_GROUP)
}

/// The number of sums that a thread adds up over all partial sums at a time.
const ADDED: usize = 1024;

/// The work items of a batch.
#[derive(Clone, Copy)]
pub struct WorkItems {
    /// The machine for which blocks of samples are cut.
    pub machine: Machine,
    /// The form of the packed images.
    pub operands: Operands,
    /// N.
    pub batch: usize,
    /// P.
    pub rows: usize,
    /// Rows per work item.
    pub item_rows: usize,
}

impl WorkItems {
    fn count(&self) -> usize {
        self.machine.blocks(self.batch) * self.rows.div_ceil(self.item_rows)
    }

    /// The samples of a work item, and its rows of outputs.
    pub fn get(&self, item: usize) -> (Block, Range<usize>) {
        let blocks = self.machine.blocks(self.batch);
        let block = self.machine.block(self.batch, item % blocks);
        (block, part(self.rows, self.item_rows, item / blocks))
    }

    /// The same in another order: for each group of blocks, the rows from the first to the last, and all blocks of the
    /// group at each. See [`group`].
    pub fn get_in_groups(&self, item: usize) -> (Block, Range<usize>) {
        let (parts, size) = (self.rows.div_ceil(self.item_rows), group(self.machine));
        let (group, index) = (item / (size * parts), item % (size * parts));
        let blocks = (self.machine.blocks(self.batch) - size * group).min(size);
        let block = self.machine.block(self.batch, size * group + index % blocks);
        (block, part(self.rows, self.item_rows, index / blocks))
    }

    /// The place of a block in its group.
    pub fn place_in_group(&self, block: Block) -> usize {
        block.first / (2 * self.machine.lanes) % group(self.machine)
    }
}

/// Some images of a batch, `[planes, height, width, batch]`.
#[derive(Clone, Copy)]
pub struct Planes<'a> {
    /// The number of planes that are packed.
    pub count: usize,
    /// (height, width).
    pub size: (usize, usize),
    /// The images, and everything after them.
    pub images: &'a [f32],
}

impl Planes<'_> {
    /// Copies `rows` of a block's samples to `[planes, rows, width, words of samples]`, with a distance of
    /// `plane` words from one plane to the next.
    pub fn pack(&self, items: &WorkItems, block: Block, rows: Range<usize>, plane: usize, to: &mut [f32]) {
        let Planes { count, size: (height, width), images } = *self;
        let (batch, lanes, operands) = (items.batch, items.machine.lanes, items.operands);
        let lines = Lines {
            count: [count, 1, rows.len() * width],
            from: [height * width * batch, 0, batch],
            to: [plane, 0, operands.sample_words(block, items.machine)],
        };
        let images = &images[rows.start * width * batch + block.first..];
        match operands {
            Operands::Float32 | Operands::Rounded => {
                pack(&lines, block, lanes, images, to);
                operands.round(to);
            }
            Operands::Pairs(instructions) => {
                let first = Half { images, samples: block.samples.min(lanes) };
                let second =
                    Half { images: &images[first.samples..], samples: block.samples - first.samples };
                pack_pairs(instructions, &lines, 1, first, second, to);
            }
        }
    }
}

/// The sums of a gradient: `[partial sums, parts]`.
pub struct PartialSums {
    /// The beginning of each part, and the end of the last one.
    bounds: Vec<usize>,
    sums: Vec<f32>,
}

impl PartialSums {
    /// For a gradient of `groups` groups in parts that begin at `starts`, and have `elements` elements in all.
    pub fn new(
        groups: usize,
        starts: &[usize],
        elements: usize,
        buffers: &mut Buffers,
    ) -> Result<PartialSums, String> {
        let bound = |part: usize| part / starts.len() * elements + starts[part % starts.len()];
        let bounds = buffers.list((0..groups * starts.len() + 1).map(bound))?;
        Ok(PartialSums { bounds, sums: buffers.zeros(&[MAX_PARTIAL_SUMS, groups, elements])? })
    }

    /// Computes the sums of all work items, in which the parts follow each other. For each part of each
    /// partial sum, it calls `add(part, items, sums)`, which overwrites `sums` with those of `items`, in any
    /// order and on all threads.
    pub fn sum(&mut self, items: &WorkItems, add: impl Fn(usize, Range<usize>, &mut [f32]) + Sync) -> &[f32] {
        let PartialSums { bounds, sums } = self;
        let (parts, all) = (bounds.len() - 1, bounds[bounds.len() - 1]);
        let each = items.count().div_ceil(MAX_PARTIAL_SUMS).max(1);
        let count = items.count().div_ceil(each);
        assert!(count > 0 && count * all <= sums.len());
        let shared = Shared(sums.as_mut_ptr());
        for_each(count * parts, |task| {
            let (partial, index) = (task / parts, task % parts);
            let own = bounds[index]..bounds[index + 1];
            // SAFETY: inside the sums, as asserted, and each task has its own part of a partial sum.
            let sums =
                unsafe { std::slice::from_raw_parts_mut(shared.at(partial * all + own.start), own.len()) };
            add(index, part(items.count(), each, partial), sums);
        });
        let (first, others) = sums.split_at_mut(all);
        let others = &others[..(count - 1) * all];
        for_each_row(rows_mut(first, ADDED), |row, first| {
            for other in others.chunks_exact(all.max(1)) {
                let other = &other[row * ADDED..][..first.len()];
                vectorise(
                    #[inline(always)]
                    || first.iter_mut().zip(other).for_each(|(sum, other)| *sum += other),
                );
            }
        });
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_blocks_have_every_work_item_once() {
        for (lanes, batch, rows, item_rows) in
            [(1, 5, 3, 1), (4, 64, 7, 2), (8, 61, 5, 2), (16, 100, 8, 3), (16, 33, 1, 1)]
        {
            let machine = Machine { lanes, registers: 16 };
            let items = WorkItems { machine, operands: Operands::Float32, batch, rows, item_rows };
            let sorted = |get: &dyn Fn(usize) -> (Block, Range<usize>)| {
                let key =
                    |(block, rows): (Block, Range<usize>)| (block.first, block.samples, rows.start, rows.end);
                let mut all: Vec<_> = (0..items.count()).map(|item| key(get(item))).collect();
                all.sort_unstable();
                all
            };
            assert_eq!(sorted(&|item| items.get_in_groups(item)), sorted(&|item| items.get(item)));
            // Blocks of a group have different places.
            let mut taken = std::collections::HashMap::new();
            for item in 0..items.count() {
                let (block, _) = items.get_in_groups(item);
                let place = items.place_in_group(block);
                assert!(place < group(machine));
                let number = block.first / (2 * lanes);
                assert_eq!(*taken.entry((number / group(machine), place)).or_insert(number), number);
            }
        }
    }
}
