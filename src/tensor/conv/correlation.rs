//! Runs a [`Pass`]: packs its weights, distributes blocks of samples and rows over the threads, and calls the
//! kernel.

use std::ops::Range;

use super::arithmetic::run;
use super::kernel::CorrelationKernel;
use super::operands::Operands;
use super::pack_images::ImageRows;
use super::pass::Pass;
use crate::blocks::{Block, Machine, Shared, most, part, parts};
use crate::scratch::Scratch;
use crate::simd::const_dispatch;
use crate::threads::for_each;

/// Filters per block: 6 sums of two vectors, two vectors of the images and a weight fill AVX2's 16 registers.
fn most_filters(machine: Machine) -> usize {
    if machine.registers >= 32 { 8 } else { 6 }
}

/// Rows of outputs that are computed from one packed copy.
fn slab(pass: &Pass, machine: Machine, operands: Operands) -> usize {
    let fits =
        |rows: usize| packed_words(pass, machine, operands, rows) * size_of::<f32>() <= machine.l2_budget();
    most(pass.row.outputs, fits)
}

fn packed_words(pass: &Pass, machine: Machine, operands: Operands, rows: usize) -> usize {
    pass.row.most_seen(rows) * pass.column.size * operands.words(pass.channels) * 2 * machine.lanes
}

/// The scratch space per thread to run `pass`, in words.
pub fn scratch(pass: &Pass, machine: Machine, operands: Operands) -> usize {
    if pass.row.outputs == 0 {
        0
    } else {
        packed_words(pass, machine, operands, slab(pass, machine, operands))
    }
}

/// How the weights of a pass are read from the layer's `[F, C, R, S]`.
#[derive(Clone, Copy, PartialEq)]
pub enum Direction {
    /// Filters are the layer's filters.
    Forward,
    /// Filters are the layer's channels.
    Backward,
}

/// Packs one group's `weight` `[F, C, R, S]` of the layer as `[R, S, words of C, F of a block]`, block by
/// block.
pub fn pack_weights(
    pass: &Pass,
    machine: Machine,
    operands: Operands,
    kernel: (usize, usize),
    direction: Direction,
    weight: &[f32],
    to: &mut [f32],
) {
    let (filters, channels) = match direction {
        Direction::Forward => (pass.channels * kernel.0 * kernel.1, kernel.0 * kernel.1),
        Direction::Backward => (kernel.0 * kernel.1, pass.filters * kernel.0 * kernel.1),
    };
    let (values, step) =
        (pass.column.taps * pass.channels, pass.channels / operands.words(pass.channels).max(1));
    let mut to = to[pass.weights..pass.weights + pass.weight_elements()].iter_mut();
    for block in parts(pass.filters, most_filters(machine)) {
        for r in 0..pass.row.taps {
            // Value (s, c) of the row, for each filter of the block.
            let value = |at: usize| {
                let tap = pass.row.tap(r) * kernel.1 + pass.column.tap(at / pass.channels);
                &weight[tap + at % pass.channels * channels + block.start * filters..]
            };
            for at in (0..values).step_by(step) {
                let (value, next) = (value(at), (at + 1 < values).then(|| value(at + 1)));
                for (f, to) in to.by_ref().take(block.len()).enumerate() {
                    *to = operands.word(value[f * filters], next.map_or(0.0, |next| next[f * filters]));
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
    /// The form of the packed images and weights.
    pub operands: Operands,
    /// Groups of filters, each with its own channels.
    pub groups: usize,
    /// N.
    pub batch: usize,
    /// Packed weights.
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
        let most = slab(pass, self.machine, self.operands);
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
        let Correlation { pass, machine, operands, batch, .. } = *self;
        let rows = pass.row.seen(outputs.clone());
        let width = block.vectors * machine.lanes;
        let images = &self.images[group * pass.channels * pass.row.size * pass.column.size * batch..];
        let weights = &self.weights[group * self.weight_stride + pass.weights..][..pass.weight_elements()];
        let (words, step) = (operands.words(pass.channels), operands.step(pass.channels));
        let taps = pass.row.taps * pass.column.taps * words;
        let map = pass.row.places * pass.column.places * batch;
        self.scratch.with(rows.len() * pass.column.size * words * width, |packed| {
            if !packed.is_empty() {
                let rows = rows.clone();
                ImageRows { pass, machine, batch, block, rows, images }.pack(operands, packed);
            }
            for filters in parts(pass.filters, most_filters(machine)) {
                let weights = &weights[filters.start * taps..filters.end * taps];
                let bias = self.bias.map(|bias| &bias[group * pass.filters..][filters.clone()]);
                // SAFETY: the first of the filters is one of the pass.
                let out = Shared(unsafe { out.at(filters.start * map) });
                const_dispatch!(F = filters.len(), in [1, 2, 3, 4, 5, 6, 7, 8]; V = block.vectors, in [1, 2]; {
                    let bias = bias.map_or([0.0; F], |bias| std::array::from_fn(|f| bias[f]));
                    run(operands, CorrelationKernel::<F, V> {
                        pass,
                        words,
                        step,
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
