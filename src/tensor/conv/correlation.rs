//! Runs a [`Pass`]: packs its weights, distributes blocks of samples and rows over the threads, and calls the
//! kernel.

use std::ops::Range;

use super::kernel::CorrelationKernel;
use super::pack::{Lines, pack};
use super::pass::Pass;
use crate::blocks::{Block, L2_BUDGET_BYTES, Machine, Shared, most, part, parts};
use crate::scratch::Scratch;
use crate::simd::{const_dispatch, dispatch};
use crate::threads::for_each;

/// Filters per block: 6 sums of two vectors, two vectors of the images and a weight fill AVX2's 16 registers.
fn most_filters(machine: Machine) -> usize {
    if machine.registers >= 32 { 8 } else { 6 }
}

/// Rows of outputs that are computed from one packed copy.
fn slab(pass: &Pass, machine: Machine) -> usize {
    let fits = |rows: usize| packed_elements(pass, machine, rows) * size_of::<f32>() <= L2_BUDGET_BYTES;
    most(pass.row.outputs, fits)
}

fn packed_elements(pass: &Pass, machine: Machine, rows: usize) -> usize {
    pass.row.most_seen(rows) * pass.column.size * pass.channels * 2 * machine.lanes
}

/// The scratch space per thread to run `pass`, in elements.
pub fn scratch(pass: &Pass, machine: Machine) -> usize {
    if pass.row.outputs == 0 { 0 } else { packed_elements(pass, machine, slab(pass, machine)) }
}

/// How the weights of a pass are read from the layer's `[F, C, R, S]`.
#[derive(Clone, Copy, PartialEq)]
pub enum Direction {
    /// Filters are the layer's filters.
    Forward,
    /// Filters are the layer's channels.
    Backward,
}

/// Packs one group's `weight` `[F, C, R, S]` of the layer as `[R, S, C, F of a block]`, block by block.
pub fn pack_weights(
    pass: &Pass,
    machine: Machine,
    kernel: (usize, usize),
    direction: Direction,
    weight: &[f32],
    to: &mut [f32],
) {
    let (filters, channels) = match direction {
        Direction::Forward => (pass.channels * kernel.0 * kernel.1, kernel.0 * kernel.1),
        Direction::Backward => (kernel.0 * kernel.1, pass.filters * kernel.0 * kernel.1),
    };
    let mut to = to[pass.weights..pass.weights + pass.weight_elements()].iter_mut();
    for block in parts(pass.filters, most_filters(machine)) {
        for r in 0..pass.row.taps {
            for s in 0..pass.column.taps {
                let tap = pass.row.tap(r) * kernel.1 + pass.column.tap(s);
                for c in 0..pass.channels {
                    let from = weight[tap + c * channels + block.start * filters..].iter().step_by(filters);
                    to.by_ref().take(block.len()).zip(from).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }
}

/// One correlation of a complete batch.
pub struct Correlation<'a> {
    /// The pass of each group.
    pub pass: &'a Pass,
    /// This machine.
    pub machine: Machine,
    /// Groups of filters, each with its own channels.
    pub groups: usize,
    /// N.
    pub batch: usize,
    /// Packed weights, `stride` elements per group.
    pub weights: &'a [f32],
    /// The distance in elements from the weights of one group to those of the next.
    pub weight_stride: usize,
    /// `[groups * F]`, or `None`.
    pub bias: Option<&'a [f32]>,
    /// `[groups * C, H, W, N]`.
    pub images: &'a [f32],
    /// The scratch space of each thread.
    pub scratch: &'a Scratch,
}

impl Correlation<'_> {
    /// Computes `out` `[groups * F, places, N]`.
    pub fn compute(&self, out: &mut [f32]) {
        let pass = self.pass;
        let map = pass.row.places * pass.column.places * self.batch;
        assert_eq!(out.len(), self.groups * pass.filters * map, "the output is that of the pass");
        assert_eq!(
            self.images.len(),
            self.groups * pass.channels * pass.row.size * pass.column.size * self.batch
        );
        if pass.row.outputs == 0 || pass.column.outputs == 0 {
            return;
        }
        let blocks = self.machine.blocks(self.batch);
        let most = slab(pass, self.machine);
        let slabs = pass.row.outputs.div_ceil(most);
        let out = Shared(out.as_mut_ptr());
        // Neighbouring blocks are processed one after the other: together they read complete cache lines of
        // the images.
        for_each(self.groups * slabs * blocks, |task| {
            let (group, slab) = (task / (slabs * blocks), task / blocks % slabs);
            let block = self.machine.block(self.batch, task % blocks);
            let rows = part(pass.row.outputs, most, slab);
            // SAFETY: inside the output, as asserted; tasks write different blocks, rows or groups.
            let out = Shared(unsafe { out.at(group * pass.filters * map) });
            self.rows(group, block, rows, out);
        });
    }

    /// Computes some rows of outputs of a group, for a block of samples.
    fn rows(&self, group: usize, block: Block, outputs: Range<usize>, out: Shared) {
        let Correlation { pass, machine, batch, .. } = *self;
        let rows = pass.row.seen(outputs.clone());
        let width = block.vectors * machine.lanes;
        let pixel = pass.row.size * pass.column.size * batch;
        let lines = Lines {
            count: [pass.channels, rows.len(), pass.column.size],
            from: [pixel, pass.column.size * batch, batch],
            to: [width, pass.column.size * pass.channels * width, pass.channels * width],
        };
        let first = group * pass.channels * pixel + rows.start * pass.column.size * batch + block.first;
        let weights = &self.weights[group * self.weight_stride + pass.weights..][..pass.weight_elements()];
        let taps = pass.row.taps * pass.column.taps * pass.channels;
        let map = pass.row.places * pass.column.places * batch;
        self.scratch.with(rows.len() * pass.column.size * pass.channels * width, |packed| {
            if !packed.is_empty() {
                pack(&lines, block, machine.lanes, &self.images[first..], packed);
            }
            for filters in parts(pass.filters, most_filters(machine)) {
                let weights = &weights[filters.start * taps..filters.end * taps];
                let bias = self.bias.map(|bias| &bias[group * pass.filters..][filters.clone()]);
                // SAFETY: the first of the filters is one of the pass.
                let out = Shared(unsafe { out.at(filters.start * map) });
                const_dispatch!(F = filters.len(), in [1, 2, 3, 4, 5, 6, 7, 8]; V = block.vectors, in [1, 2]; {
                    let bias = bias.map_or([0.0; F], |bias| std::array::from_fn(|f| bias[f]));
                    dispatch(CorrelationKernel::<F, V> {
                        pass,
                        packed,
                        first_row: rows.start,
                        weights,
                        bias,
                        outputs: outputs.clone(),
                        out,
                        batch,
                        block,
                    })
                });
            }
        });
    }
}
