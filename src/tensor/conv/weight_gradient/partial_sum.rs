//! A partial sum, of some work items: packs the samples of each and adds them to the sums of the weights and biases of one group.

use std::ops::Range;

use super::tiles::{TapTiles, add_lanes};
use super::{WeightGradient, most_filters};
use crate::blocks::{Block, Line, part, parts, room};
use crate::conv::pack::{Lines, pack};
use crate::conv::pass::Pass;

/// Some work items of one group.
pub struct PartialSum<'a> {
    pub gradient: &'a WeightGradient,
    pub work_items: Range<usize>,
    pub batch: usize,
    /// The group's: `[C, H, W, batch]`, and what follows it.
    pub x: &'a [f32],
    /// The group's: `[F, P, Q, batch]`, and what follows it.
    pub dy: &'a [f32],
}

/// A thread's room, cut up.
struct Scratch<'a> {
    /// Packed channels of x and filters of dy, and the distances between them.
    x: &'a mut [f32],
    x_plane: usize,
    dy: &'a mut [f32],
    dy_plane: usize,
    /// Sums, `lanes` of each.
    weights: &'a mut [f32],
    biases: &'a mut [f32],
}

impl WeightGradient {
    /// `lines`, made as large as it must be, cut up; the sums are zero.
    fn cut<'a>(&self, lines: &'a mut Vec<Line>) -> Scratch<'a> {
        let WeightGradient { pass: Pass { channels, filters, .. }, machine, rows, .. } = *self;
        let lanes = machine.lanes;
        let needed = Self::scratch(&self.pass, machine);
        if lines.len() * 16 < needed {
            *lines = room(needed);
        }
        let (x_plane, dy_plane) = Self::planes(&self.pass, machine, rows);
        let rest: &mut [f32] = bytemuck::cast_slice_mut(lines);
        let (x, rest) = rest.split_at_mut(channels * x_plane);
        let (dy, rest) = rest.split_at_mut(filters * dy_plane);
        let (weights, rest) = rest.split_at_mut(self.pass.weight_elements() * lanes);
        let biases = &mut rest[..filters * lanes];
        weights.fill(0.0);
        biases.fill(0.0);
        Scratch { x, x_plane, dy, dy_plane, weights, biases }
    }
}

impl PartialSum<'_> {
    /// Overwrites `sums` by those of the work items: the weights, then the biases.
    pub fn run(self, lines: &mut Vec<Line>, sums: &mut [f32]) {
        let WeightGradient { machine, pass: Pass { row, .. }, rows, .. } = *self.gradient;
        let mut scratch = self.gradient.cut(lines);
        let blocks = machine.blocks(self.batch);
        for work_item in self.work_items.clone() {
            let block = machine.block(self.batch, work_item % blocks);
            let outputs = part(row.outputs, rows, work_item / blocks);
            self.pack(block, outputs.clone(), &mut scratch);
            self.add(block, outputs, &mut scratch);
        }
        self.finish(&scratch, sums);
    }

    /// Packs the rows `outputs` of dy, and those of x that they have seen.
    fn pack(&self, block: Block, outputs: Range<usize>, scratch: &mut Scratch) {
        let Pass { channels, filters, row, column, .. } = self.gradient.pass;
        let (batch, lanes) = (self.batch, self.gradient.machine.lanes);
        let copy =
            |count, rows: Range<usize>, size: (usize, usize), images: &[f32], plane, to: &mut [f32]| {
                let lines = Lines {
                    count: [count, 1, rows.len() * size.1],
                    from: [size.0 * size.1 * batch, 0, batch],
                    to: [plane, 0, block.vectors * lanes],
                };
                pack(&lines, block, lanes, &images[rows.start * size.1 * batch + block.first..], to);
            };
        let seen = row.seen(outputs.clone());
        copy(channels, seen, (row.size, column.size), self.x, scratch.x_plane, scratch.x);
        copy(filters, outputs, (row.outputs, column.outputs), self.dy, scratch.dy_plane, scratch.dy);
    }

    /// Adds what is packed to the sums.
    fn add(&self, block: Block, outputs: Range<usize>, scratch: &mut Scratch) {
        let WeightGradient { machine, pass: Pass { filters, row, column, .. }, .. } = *self.gradient;
        let Scratch { x, x_plane, dy, dy_plane, weights, biases } = scratch;
        let (lanes, x_plane, dy_plane) = (machine.lanes, *x_plane, *dy_plane);
        let contents = outputs.len() * column.outputs * block.vectors * lanes;
        for (plane, sums) in dy.chunks_exact(dy_plane).zip(biases.chunks_exact_mut(lanes)) {
            add_lanes(&plane[..contents], sums);
        }
        let mut lanes_at = 0;
        for tiles in self.gradient.tiles.iter().filter(|tiles| !tiles.is_empty()) {
            let taps = tiles[0].count;
            for filters in parts(filters, most_filters(machine, taps)) {
                let size = filters.len() * taps * tiles.len() * lanes;
                let work = TapTiles {
                    gradient: self.gradient,
                    tiles,
                    outputs: outputs.clone(),
                    first_row: row.seen(outputs.clone()).start,
                    vectors: block.vectors,
                    x,
                    x_plane,
                    dy: &dy[filters.start * dy_plane..filters.end * dy_plane],
                    dy_plane,
                    lanes: &mut weights[lanes_at..lanes_at + size],
                };
                lanes_at += size;
                work.on(filters.len(), taps);
            }
        }
    }

    /// Adds the lanes of each sum.
    fn finish(&self, scratch: &Scratch, sums: &mut [f32]) {
        let WeightGradient { machine, ref pass, along_taps, .. } = *self.gradient;
        let Pass { channels, filters, ref row, ref column, .. } = *pass;
        let area = row.taps * column.taps;
        let (weights, biases) = sums.split_at_mut(pass.weight_elements());
        let mut lanes = scratch.weights.chunks_exact(machine.lanes);
        for tiles in self.gradient.tiles.iter().filter(|tiles| !tiles.is_empty()) {
            for filters in parts(filters, most_filters(machine, tiles[0].count)) {
                for tile in tiles {
                    for f in filters.clone() {
                        let first = (f * channels + tile.c) * area + tile.r * column.taps + tile.s;
                        let step = if along_taps { 1 } else { area };
                        for (k, lanes) in lanes.by_ref().take(tile.count).enumerate() {
                            weights[first + k * step] = lanes.iter().sum();
                        }
                    }
                }
            }
        }
        for (bias, lanes) in biases.iter_mut().zip(scratch.biases.chunks_exact(machine.lanes)) {
            *bias = lanes.iter().sum();
        }
    }
}
