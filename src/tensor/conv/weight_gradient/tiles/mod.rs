//! The gradient of the weights with AMX tiles ([`crate::tiles`]).
//!
//! One tile product multiplies 16 taps by 16 filters over 32 samples:
//!
//! - Taps: x is packed as `[rows, W, C, samples]`, so all (s, c) of a row of the window are neighbouring lines, and any
//!   16 of these lines form a tile. A few channels fill tiles as well as many channels do: 3 channels and 5 columns
//!   fill 15 of 16 lines.
//! - Filters: dy is packed as `[positions, samples, filters]`, which transposes it.
//!
//! A kernel keeps the sums of up to six tiles of taps in registers while it loops over all positions of a work item.
//!
//! The order of the sums: a partial sum starts at 0 and adds its work items one after another. For each work item, it
//! adds the positions row by row. At each position, [`crate::bf16::add_products`] adds the products of 32 samples, in
//! which samples 2i and 2i + 1 are a pair. Pixels outside the image and samples after the last one are zeros. The
//! partial sums are added in order. [`Geometry::item_rows`] determines the work items.
//!
//! - `geometry`: the sizes of everything that is packed
//! - `images`, `slopes`: packing of x and dy
//! - `kernel`: the products
//! - `weights`: copying of the sums

mod geometry;
mod images;
mod kernel;
mod slopes;
#[cfg(test)]
mod tests;
mod weights;

use super::lanes::sum_lanes;
use crate::blocks::Machine;
use crate::buffers::Buffers;
use crate::conv::operands::Operands;
use crate::conv::partial_sums::{PartialSums, WorkItems};
use crate::conv::pass::Pass;
use crate::scratch::Scratch;
use crate::tiles::{Amx, Layout, ROWS, WORDS};
use geometry::Geometry;
use images::Images;
use kernel::Products;
use slopes::Slopes;
use weights::unpack;

/// The number of words of a tile, and of its sums.
const TILE: usize = ROWS * WORDS;

/// The maximum size of the packed copies of a work item in bytes. The copies stay in the L2 cache together with the
/// sums and the images from which they are packed: reading the samples of one block also fetches values of the next
/// block.
/// Processors with AMX have an L2 cache of 2 MB.
const ITEM_BYTES: usize = 512 * 1024;

/// The gradient of one convolution's weights, planned.
pub struct TileSums {
    amx: Amx,
    machine: Machine,
    geometry: Geometry,
    groups: usize,
    /// The place of each weight of a filter: see [`Geometry::places`].
    places: Vec<usize>,
    /// For each group, the tiles of sums `[tiles of filters, tiles of taps, taps, filters]`, then the biases.
    sums: PartialSums,
}

impl TileSums {
    /// Plans the gradient of a convolution whose forward pass in each of `groups` groups is `pass`.
    pub fn new(
        amx: Amx,
        pass: Pass,
        machine: Machine,
        groups: usize,
        buffers: &mut Buffers,
    ) -> Result<TileSums, String> {
        Self::with_items_of(ITEM_BYTES, amx, pass, machine, groups, buffers)
    }

    fn with_items_of(
        bytes: usize,
        amx: Amx,
        pass: Pass,
        machine: Machine,
        groups: usize,
        buffers: &mut Buffers,
    ) -> Result<TileSums, String> {
        let geometry = Geometry::new(pass, bytes);
        let places = buffers.list(geometry.places())?;
        let sums = PartialSums::new(groups, &[0], geometry.sums() + geometry.padded_filters(), buffers)?;
        Ok(TileSums { amx, machine, geometry, groups, places, sums })
    }

    /// The scratch space in words that a thread needs for the weight gradient of `pass`.
    pub fn scratch(pass: &Pass) -> usize {
        Geometry::new(pass.clone(), ITEM_BYTES).scratch()
    }

    /// Overwrites the gradients: see [`super::WeightGradient::compute`].
    pub fn compute(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        scratch: &Scratch,
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        let TileSums { amx, machine, ref geometry, groups, ref places, ref mut sums } = *self;
        let Pass { channels, filters, row, column, .. } = geometry.pass;
        let (image, map) = (channels * row.size * column.size * batch, row.outputs * column.outputs * batch);
        assert_eq!(x.len(), groups * image);
        assert_eq!(dy.len(), groups * filters * map);
        let items = WorkItems {
            machine,
            // The samples of an item are the same as those of all kernels.
            operands: Operands::Rounded,
            batch,
            rows: row.outputs,
            item_rows: geometry.item_rows,
        };
        let sums = sums.sum(&items, |group, own, sums| {
            let images = Images { geometry, batch, images: &x[group * image..] };
            let slopes = Slopes { geometry, batch, slopes: &dy[group * filters * map..] };
            let (sums, biases) = sums.split_at_mut(geometry.sums());
            scratch.with(geometry.scratch(), |scratch| {
                let (x, rest) = scratch.split_at_mut(geometry.image_words(geometry.item_rows));
                let (dy, lanes) = rest.split_at_mut(geometry.slope_words(geometry.item_rows));
                images.clear_padding(x);
                lanes.fill(0.0);
                Layout::new([(ROWS, WORDS); 8]).with(amx, || {
                    for item in own.clone() {
                        let (block, outputs) = items.get(item);
                        images.pack(amx, block, outputs.clone(), x);
                        slopes.pack(amx, block, outputs.clone(), bias.is_some().then_some(&mut *lanes), dy);
                        let products = Products { geometry, rows: outputs.len(), x, dy };
                        // SAFETY: this runs inside `with`, and all tiles have the full size.
                        unsafe { products.add(item == own.start, sums) };
                    }
                });
                biases.copy_from_slice(sum_lanes(lanes));
            });
        });
        let each = geometry.sums() + geometry.padded_filters();
        for (weight, sums) in
            weight.chunks_exact_mut(geometry.pass.weight_elements()).zip(sums.chunks_exact(each))
        {
            unpack(amx, places, geometry.tap_tiles(), &sums[..geometry.sums()], weight);
        }
        if let Some(bias) = bias {
            for (bias, sums) in bias.chunks_exact_mut(filters).zip(sums.chunks_exact(each)) {
                bias.copy_from_slice(&sums[geometry.sums()..][..filters]);
            }
        }
    }
}
