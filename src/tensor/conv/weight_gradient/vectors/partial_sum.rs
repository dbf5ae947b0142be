//! The sums of some work items: packs the samples of each and adds them to the sums of the weights and biases of one group.

use std::ops::Range;

use super::kernel::TapKernel;
use super::{Taps, blocks, packed_blocks, planes};
use crate::blocks::Block;
use crate::conv::arithmetic::run;
use crate::conv::operands::Operands;
use crate::conv::partial_sums::{MAX_GROUP, Planes, WorkItems};
use crate::conv::pass::Pass;
use crate::conv::weight_gradient::lanes::{sum_lines, sum_vectors};
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
    /// Whether the sums of the biases are needed.
    pub biased: bool,
}

/// The scratch space of a thread, divided into its parts.
struct Room<'a> {
    /// The packed channels of x, for some blocks of a group, and the distance between them.
    x: [PackedRows<'a>; MAX_GROUP],
    packed_blocks: usize,
    x_plane: usize,
    /// The packed filters of dy, and the distance between them.
    dy: &'a mut [f32],
    dy_plane: usize,
}

/// Rows of x. Row h is in place h mod `places`, so rows that the next work item also sees stay where they are.
struct PackedRows<'a> {
    channels: &'a mut [f32],
    places: usize,
    /// The samples and the rows that are packed.
    packed: Option<(Block, Range<usize>)>,
}

impl PartialSum<'_> {
    /// Overwrites `sums` with those of the work items `own`: the tiles of the weights, then the biases. `scratch` has the
    /// length of [`super::LaneSums::scratch`].
    pub fn compute(&self, own: Range<usize>, scratch: &mut [f32], sums: &mut [f32]) {
        let mut room = self.cut(scratch);
        sums.fill(0.0);
        let (weights, biases) = sums.split_at_mut(self.pass.weight_elements());
        for item in own {
            let (block, outputs) = self.items.get_in_groups(item);
            let &mut Room { ref mut x, packed_blocks, x_plane, ref mut dy, dy_plane } = &mut room;
            let x = &mut x[self.items.place_in_group(block) % packed_blocks];
            self.pack_x(block, self.pass.row.seen(outputs.clone()), x_plane, x);
            self.pack_dy(block, outputs.clone(), dy_plane, dy, biases);
            self.add(block, outputs, &room, weights);
        }
    }

    /// `scratch`, divided into its parts.
    fn cut<'a>(&self, scratch: &'a mut [f32]) -> Room<'a> {
        let (x_plane, dy_plane) = planes(self.pass, self.items.machine, self.items.operands);
        let image = self.pass.channels * x_plane;
        let packed_blocks = packed_blocks(self.pass, self.items.machine, self.items.operands);
        let (x, dy) = scratch.split_at_mut(packed_blocks * image);
        let (mut images, places) =
            (x.chunks_exact_mut(image.max(1)), self.pass.row.most_seen(self.items.item_rows));
        let x = std::array::from_fn(|_| PackedRows {
            channels: images.next().unwrap_or_default(),
            places,
            packed: None,
        });
        Room { x, packed_blocks, x_plane, dy, dy_plane }
    }

    /// Packs the rows `seen` of x, except those that are packed already.
    fn pack_x(&self, block: Block, seen: Range<usize>, plane: usize, x: &mut PackedRows) {
        let Pass { channels, row, column, .. } = *self.pass;
        let mut first = match &x.packed {
            Some((packed, rows)) if *packed == block => rows.end.max(seen.start),
            _ => seen.start,
        };
        let images = Planes { count: channels, size: (row.size, column.size), images: self.x };
        let line = column.size * self.items.operands.sample_words(block, self.items.machine);
        while first < seen.end {
            let place = first % x.places;
            let past = seen.end.min(first + x.places - place);
            images.pack(self.items, block, first..past, plane, &mut x.channels[place * line..]);
            first = past;
        }
        x.packed = Some((block, seen));
    }

    /// Packs dy at the outputs of a work item, and adds it to the sums of the biases if they are needed.
    fn pack_dy(
        &self,
        block: Block,
        outputs: Range<usize>,
        stride: usize,
        dy: &mut [f32],
        biases: &mut [f32],
    ) {
        let Pass { filters, row, column, .. } = *self.pass;
        let items = self.items;
        let size = (row.outputs, column.outputs);
        let slopes = |count, images| Planes { count, size, images };
        if !self.biased {
            return slopes(filters, self.dy).pack(items, block, outputs, stride, dy);
        }
        // Each plane is read again while it is in the L1 cache.
        let (map, positions) = (row.outputs * column.outputs * items.batch, outputs.len() * column.outputs);
        for (f, (plane, bias)) in dy.chunks_exact_mut(stride).zip(biases).enumerate() {
            let images = &self.dy[f * map..];
            slopes(1, images).pack(items, block, outputs.clone(), 0, plane);
            *bias += if items.operands == Operands::Float32 {
                sum_vectors(&plane[..positions * block.vectors * items.machine.lanes])
            } else {
                // The sums are those of dy itself, not of its rounded values.
                let first = outputs.start * column.outputs * items.batch;
                sum_lines(&images[first..], items.batch, positions, block)
            };
        }
    }

    /// Adds a packed work item to the sums of the weights.
    fn add(&self, block: Block, outputs: Range<usize>, room: &Room, sums: &mut [f32]) {
        let &Room { ref x, packed_blocks, x_plane, ref dy, dy_plane } = room;
        let (operands, machine) = (self.items.operands, self.items.machine);
        let x = &x[self.items.place_in_group(block) % packed_blocks];
        let first_row = self.pass.row.seen(outputs.clone()).start;
        let mut rest = sums;
        for (tiles, taps, filters) in blocks(self.pass, machine, self.tiles) {
            let (sums, others) = rest.split_at_mut(filters.len() * taps * tiles.len());
            rest = others;
            let dy = &dy[filters.start * dy_plane..filters.end * dy_plane];
            const_dispatch!(F = filters.len(), in [1, 2, 3, 4, 5, 6, 7, 8]; K = taps, in [1, 2, 3];
                run(operands, TapKernel::<F, K> {
                    pass: self.pass,
                    along_taps: self.along_taps,
                    tiles,
                    outputs: outputs.clone(),
                    vectors: operands.sample_words(block, machine) / machine.lanes,
                    x: &*x.channels,
                    x_plane,
                    x_rows: x.places,
                    first_row,
                    first_place: first_row % x.places,
                    dy,
                    dy_plane,
                    sums,
                })
            );
        }
    }
}
