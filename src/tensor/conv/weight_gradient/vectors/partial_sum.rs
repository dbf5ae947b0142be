//! The sums of some work items: packs the samples of each and adds them to the sums of the weights and biases of one group.

use std::ops::Range;

use super::kernel::TapKernel;
use super::{Taps, most_filters, planes};
use crate::blocks::parts;
use crate::conv::arithmetic::run;
use crate::conv::operands::Operands;
use crate::conv::partial_sums::{Planes, WorkItems};
use crate::conv::pass::Pass;
use crate::conv::weight_gradient::lanes::{add_lanes, add_lines, sum_lanes};
use crate::simd::const_dispatch;

/// A partial sum of one group.
pub struct PartialSum<'a> {
    pub pass: &'a Pass,
    pub along_taps: bool,
    /// By K, from 1 on.
    pub tiles: &'a [Vec<Taps>; 3],
    pub items: &'a WorkItems,
    /// The group's data, `[C, H, W, batch]`, and everything after it.
    pub x: &'a [f32],
    /// The group's data, `[F, P, Q, batch]`, and everything after it.
    pub dy: &'a [f32],
}

/// The scratch space of a thread, divided into its parts.
struct Room<'a> {
    /// Packed channels of x and filters of dy, and the distances between them.
    x: &'a mut [f32],
    x_plane: usize,
    dy: &'a mut [f32],
    dy_plane: usize,
    /// Sums, `lanes` of each.
    weights: &'a mut [f32],
    biases: &'a mut [f32],
}

impl PartialSum<'_> {
    /// Overwrites `sums` with those of the work items `own`, at least one: the weights, then the biases. `scratch` has the
    /// length of [`super::LaneSums::scratch`].
    pub fn compute(&self, own: Range<usize>, scratch: &mut [f32], sums: &mut [f32]) {
        let mut room = self.cut(scratch);
        for item in own.clone() {
            self.add(item, item == own.start, &mut room);
        }
        self.finish(&mut room, sums);
    }

    /// `scratch`, divided into its parts; the sums of the biases are zero.
    fn cut<'a>(&self, scratch: &'a mut [f32]) -> Room<'a> {
        let (&Pass { channels, filters, .. }, machine) = (self.pass, self.items.machine);
        let (x_plane, dy_plane) = planes(self.pass, machine, self.items.operands);
        let (x, rest) = scratch.split_at_mut(channels * x_plane);
        let (dy, rest) = rest.split_at_mut(filters * dy_plane);
        let (weights, biases) = rest.split_at_mut(self.pass.weight_elements() * machine.lanes);
        biases.fill(0.0);
        Room { x, x_plane, dy, dy_plane, weights, biases }
    }

    /// Packs a work item and adds it to the sums. The `first` one overwrites the sums of the weights: they
    /// may be larger than a cache, and need not be filled with zeros and read.
    fn add(&self, item: usize, first: bool, room: &mut Room) {
        let Pass { channels, filters, row, column, .. } = *self.pass;
        let Room { x, x_plane, dy, dy_plane, weights, biases } = room;
        let (lanes, x_plane, dy_plane) = (self.items.machine.lanes, *x_plane, *dy_plane);
        let (block, outputs) = self.items.get(item);
        let seen = row.seen(outputs.clone());
        let images = Planes { count: channels, size: (row.size, column.size), images: self.x };
        images.pack(self.items, block, seen.clone(), x_plane, x);
        let positions = outputs.len() * column.outputs;
        let size = (row.outputs, column.outputs);
        if self.items.operands == Operands::Float32 {
            let slopes = Planes { count: filters, size, images: self.dy };
            slopes.pack(self.items, block, outputs.clone(), dy_plane, dy);
            for (plane, sums) in dy.chunks_exact(dy_plane).zip(biases.chunks_exact_mut(lanes)) {
                add_lanes(&plane[..positions * block.vectors * lanes], sums);
            }
        } else {
            // The sums are those of dy itself, not of its rounded values. Each plane is read again while it is
            // in the L1 cache.
            let (map, batch) = (row.outputs * column.outputs * self.items.batch, self.items.batch);
            let planes = dy.chunks_exact_mut(dy_plane).zip(biases.chunks_exact_mut(lanes));
            for (f, (plane, sums)) in planes.enumerate() {
                let images = &self.dy[f * map..];
                Planes { count: 1, size, images }.pack(self.items, block, outputs.clone(), 0, plane);
                let first = outputs.start * column.outputs * batch;
                add_lines(&images[first..], batch, positions, block, sums);
            }
        }
        let mut lanes_at = 0;
        for (tiles, taps, filters) in self.blocks() {
            let size = filters.len() * taps * tiles.len() * lanes;
            let lanes = &mut weights[lanes_at..lanes_at + size];
            lanes_at += size;
            let dy = &dy[filters.start * dy_plane..filters.end * dy_plane];
            const_dispatch!(F = filters.len(), in [1, 2, 3, 4, 5, 6, 7, 8]; K = taps, in [1, 2, 3];
                run(self.items.operands, TapKernel::<F, K> {
                    pass: self.pass,
                    along_taps: self.along_taps,
                    tiles,
                    outputs: outputs.clone(),
                    first_row: seen.start,
                    vectors: self.items.operands.sample_words(block, self.items.machine) / self.items.machine.lanes,
                    x,
                    x_plane,
                    dy,
                    dy_plane,
                    lanes,
                    first,
                })
            );
        }
    }

    /// The tiles with equal numbers of taps, this number, and some of the filters, in the order in which
    /// their sums are stored.
    fn blocks(&self) -> impl Iterator<Item = (&[Taps], usize, Range<usize>)> {
        self.tiles.iter().zip(1..).filter(|(tiles, _)| !tiles.is_empty()).flat_map(|(tiles, taps)| {
            let most = most_filters(self.items.machine, taps);
            parts(self.pass.filters, most).map(move |filters| (&tiles[..], taps, filters))
        })
    }

    /// Adds the lanes of each sum.
    fn finish(&self, room: &mut Room, sums: &mut [f32]) {
        let Pass { channels, ref row, ref column, .. } = *self.pass;
        let area = row.taps * column.taps;
        let (weights, biases) = sums.split_at_mut(self.pass.weight_elements());
        let mut totals = sum_lanes(room.weights).iter();
        for (tiles, _, filters) in self.blocks() {
            for tile in tiles {
                for f in filters.clone() {
                    let first = (f * channels + tile.c) * area + tile.r * column.taps + tile.s;
                    let step = if self.along_taps { 1 } else { area };
                    for (k, total) in totals.by_ref().take(tile.count).enumerate() {
                        weights[first + k * step] = *total;
                    }
                }
            }
        }
        biases.copy_from_slice(sum_lanes(room.biases));
    }
}
