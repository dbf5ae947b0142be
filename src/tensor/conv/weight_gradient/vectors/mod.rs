//! The gradient of the weights with vectors of samples.
//!
//! For F filters and K of the (c, r, s), a kernel keeps F K vectors of sums during a work item (4 x 3 fill AVX2's
//! registers, 8 x 3 are best with AVX-512). Then it adds the lanes of each vector, and adds the result to the sum of
//! the earlier work items. Vectors of sums in memory would take `lanes` times as much space, more than an L2 cache.
//!
//! dy and x of a work item are packed channel by channel. The next work item of the same block of samples is at the
//! next rows of outputs, and the rows of x that both see stay packed. In bf16, samples n and n + 16 of a block of 32 are
//! a pair, so each lane adds the same products in the same order as with float32 vectors of 16 lanes.

mod kernel;
mod partial_sum;

use std::ops::Range;

use crate::blocks::{Machine, part, parts, parts_of_size};
use crate::buffers::Buffers;
use crate::conv::operands::Operands;
use crate::conv::partial_sums::{PartialSums, WorkItems, group, item_rows, plane};
use crate::conv::pass::Pass;
use crate::scratch::Scratch;
use partial_sum::PartialSum;

/// K of the (c, r, s): channels at one tap, or taps of one row at one channel.
#[derive(Clone, Copy, Debug)]
struct Taps {
    r: usize,
    s: usize,
    c: usize,
    /// The outputs that see pixels under these taps: the first row and the row after the last, and the columns.
    rows: [usize; 2],
    columns: [usize; 2],
}

/// The gradient of one convolution's weights, planned.
pub struct LaneSums {
    /// The forward pass of one group.
    pass: Pass,
    machine: Machine,
    operands: Operands,
    groups: usize,
    /// Whether tiles hold neighbouring taps instead of channels.
    along_taps: bool,
    /// One entry per K, from 1 on.
    tiles: [Vec<Taps>; 3],
    /// For each group, the weights, then the biases.
    sums: PartialSums,
}

/// The maximum number of filters per tile with K taps or channels.
fn most_filters(machine: Machine, taps: usize) -> usize {
    match (machine.registers >= 32, taps) {
        (_, 1) => 8,
        (true, _) => 8,
        (false, 2) => 6,
        (false, _) => 4,
    }
}

/// Rows of outputs per work item.
fn rows(pass: &Pass, machine: Machine, operands: Operands) -> usize {
    item_rows((pass.row.outputs, pass.column.outputs), machine, operands)
}

/// Distances between packed channels of x, and between packed filters of dy.
fn planes(pass: &Pass, machine: Machine, operands: Operands) -> (usize, usize) {
    let rows = rows(pass, machine, operands);
    let x = plane(pass.row.most_seen(rows) * pass.column.size, machine, operands);
    (x, plane(rows * pass.column.outputs, machine, operands))
}

/// The number of blocks of a group whose rows of x stay packed until the next work item of the block: all or, if that
/// would save little, only one.
fn packed_blocks(pass: &Pass, machine: Machine, operands: Operands) -> usize {
    let rows = rows(pass, machine, operands);
    let seen = pass.row.most_seen(rows);
    if 4 * seen.saturating_sub(rows * pass.row.stride()) >= seen { group(machine) } else { 1 }
}

/// The tiles of `count` neighbouring taps of a row, or of `count` channels at a tap. At each place, the taps of a row
/// or the channels are cut into even parts of at most 3.
fn tiles(pass: &Pass, along_taps: bool, count: usize) -> impl ExactSizeIterator<Item = Taps> + use<> {
    let Pass { channels, row, column, .. } = *pass;
    let (rows, columns) = (row.taps, column.taps);
    let cut = if along_taps { columns } else { channels };
    let own = parts_of_size(cut, 3, count);
    let places = rows * if along_taps { channels } else { columns };
    (0..own.len() * places).map(move |tile| {
        let (place, index) = match along_taps {
            true => (tile / own.len(), tile % own.len()),
            false => (tile % places, tile / places),
        };
        let first = part(cut, 3, own.start + index).start;
        let (r, s, c) = match along_taps {
            true => (place % rows, first, place / rows),
            false => (place / columns, place % columns, first),
        };
        let [rows, columns] = [row.outputs_of(r), column.outputs_of(s)].map(|seen| [seen.start, seen.end]);
        Taps { r, s, c, rows, columns }
    })
}

/// The tiles with equal numbers of taps, this number, and some of the filters, in the order in which their sums are
/// stored: `[tiles, filters, taps]`.
fn blocks<'a>(
    pass: &Pass,
    machine: Machine,
    tiles: &'a [Vec<Taps>; 3],
) -> impl Iterator<Item = (&'a [Taps], usize, Range<usize>)> {
    let all = pass.filters;
    tiles.iter().zip(1..).filter(|(tiles, _)| !tiles.is_empty()).flat_map(move |(tiles, taps)| {
        parts(all, most_filters(machine, taps)).map(move |filters| (&tiles[..], taps, filters))
    })
}

impl LaneSums {
    /// Plans the gradient of a convolution whose forward pass in each of `groups` groups is `pass`.
    pub fn new(
        pass: Pass,
        machine: Machine,
        operands: Operands,
        groups: usize,
        buffers: &mut Buffers,
    ) -> Result<LaneSums, String> {
        let Pass { channels, column, .. } = pass;
        // Neighbouring taps see the same positions only if no tap sees padding at the first or the last output.
        let inside = |q: usize| column.inside(q).0 == (0..column.taps);
        let along_taps = channels < 3 && inside(0) && inside(column.outputs - 1);
        let mut tiles = |count| buffers.list(tiles(&pass, along_taps, count));
        let tiles = [tiles(1)?, tiles(2)?, tiles(3)?];
        let sums = PartialSums::new(groups, &[0], pass.weight_elements() + pass.filters, buffers)?;
        Ok(LaneSums { pass, machine, operands, groups, along_taps, tiles, sums })
    }

    /// The scratch space in words that a thread needs for the weight gradient of `pass`.
    pub fn scratch(pass: &Pass, machine: Machine, operands: Operands) -> usize {
        let (x, dy) = planes(pass, machine, operands);
        packed_blocks(pass, machine, operands) * pass.channels * x + pass.filters * dy
    }

    /// Overwrites `weight` `[groups * F, C, R, S]` and `bias` `[groups * F]`, for `x` `[groups * C, H, W, batch]` and `dy`
    /// `[groups * F, P, Q, batch]`.
    pub fn compute(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        scratch: &Scratch,
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        let LaneSums { pass, machine, operands, groups, along_taps, tiles, sums } = self;
        let Pass { channels, filters, row, column, .. } = *pass;
        let (image, map) = (channels * row.size * column.size * batch, row.outputs * column.outputs * batch);
        assert_eq!(x.len(), *groups * image);
        assert_eq!(dy.len(), *groups * filters * map);
        let (machine, operands) = (*machine, *operands);
        let items = WorkItems {
            machine,
            operands,
            batch,
            rows: row.outputs,
            item_rows: rows(pass, machine, operands),
        };
        let room = Self::scratch(pass, machine, operands);
        let sums = sums.sum(&items, |group, own, sums| {
            let (x, dy) = (&x[group * image..], &dy[group * filters * map..]);
            let biased = bias.is_some();
            let partial_sum =
                PartialSum { pass, along_taps: *along_taps, tiles, items: &items, x, dy, biased };
            scratch.with(room, |scratch| partial_sum.compute(own, scratch, sums));
        });
        let (weights, each) = (pass.weight_elements(), pass.weight_elements() + filters);
        for (weight, sums) in weight.chunks_exact_mut(weights).zip(sums.chunks_exact(each)) {
            unpack(pass, machine, *along_taps, tiles, &sums[..weights], weight);
        }
        if let Some(bias) = bias {
            for (bias, sums) in bias.chunks_exact_mut(filters).zip(sums.chunks_exact(each)) {
                bias.copy_from_slice(&sums[weights..]);
            }
        }
    }
}

/// Copies the sums of tiles to the gradient of the weights `[F, C, R, S]`.
fn unpack(
    pass: &Pass,
    machine: Machine,
    along_taps: bool,
    tiles: &[Vec<Taps>; 3],
    sums: &[f32],
    weight: &mut [f32],
) {
    let Pass { channels, ref row, ref column, .. } = *pass;
    let area = row.taps * column.taps;
    let step = if along_taps { 1 } else { area };
    let mut sums = sums.iter();
    for (tiles, taps, filters) in blocks(pass, machine, tiles) {
        for tile in tiles {
            for f in filters.clone() {
                let first = (f * channels + tile.c) * area + tile.r * column.taps + tile.s;
                for (k, sum) in sums.by_ref().take(taps).enumerate() {
                    weight[first + k * step] = *sum;
                }
            }
        }
    }
}
