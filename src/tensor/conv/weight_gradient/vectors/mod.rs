//! The gradient of the weights with vectors of samples.
//!
//! For F filters and K of the (c, r, s), a kernel keeps F K vectors of sums (4 x 3 fill AVX2's registers), and adds
//! the lanes of each vector at the very end. Between work items, the sums are stored in memory, with `lanes` values
//! per weight.
//!
//! dy and x of a work item are packed channel by channel. In bf16, samples n and n + 16 of a block of 32 are a pair,
//! so each lane adds the same products in the same order as with float32 vectors of 16 lanes.

mod kernel;
mod partial_sum;

use crate::blocks::{Machine, part, parts_of_size};
use crate::buffers::Buffers;
use crate::conv::operands::Operands;
use crate::conv::partial_sums::{PartialSums, WorkItems, item_rows, plane};
use crate::conv::pass::{Axis, Pass};
use crate::scratch::Scratch;
use partial_sum::PartialSum;

/// K of the (c, r, s): channels at one tap, or taps of one row at one channel.
#[derive(Clone, Copy, Debug)]
struct Taps {
    r: usize,
    s: usize,
    c: usize,
    count: usize,
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

/// The tiles of `count` neighbouring taps of a row, or of `count` channels at a tap. At each place, the taps of a row
/// or the channels are cut into even parts of at most 3.
fn tiles(pass: &Pass, along_taps: bool, count: usize) -> impl ExactSizeIterator<Item = Taps> + use<> {
    let Pass { channels, row: Axis { taps: rows, .. }, column: Axis { taps: columns, .. }, .. } = *pass;
    let cut = if along_taps { columns } else { channels };
    let own = parts_of_size(cut, 3, count);
    let places = rows * if along_taps { channels } else { columns };
    (0..own.len() * places).map(move |tile| {
        let (place, index) = match along_taps {
            true => (tile / own.len(), tile % own.len()),
            false => (tile % places, tile / places),
        };
        let first = part(cut, 3, own.start + index).start;
        match along_taps {
            true => Taps { r: place % rows, s: first, c: place / rows, count },
            false => Taps { r: place / columns, s: place % columns, c: first, count },
        }
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
        let lanes = machine.lanes * (pass.weight_elements() + pass.filters);
        pass.channels * x + pass.filters * dy + lanes
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
            let partial_sum = PartialSum { pass, along_taps: *along_taps, tiles, items: &items, x, dy };
            scratch.with(room, |scratch| partial_sum.compute(own, scratch, sums));
        });
        let (weights, each) = (pass.weight_elements(), pass.weight_elements() + filters);
        for (weight, sums) in weight.chunks_exact_mut(weights).zip(sums.chunks_exact(each)) {
            weight.copy_from_slice(&sums[..weights]);
        }
        if let Some(bias) = bias {
            for (bias, sums) in bias.chunks_exact_mut(filters).zip(sums.chunks_exact(each)) {
                bias.copy_from_slice(&sums[weights..]);
            }
        }
    }
}
