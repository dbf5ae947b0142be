//! The loops of tile products over positions.

use std::ops::Range;

use super::steps::Steps;
use super::weights::TILE;
use crate::conv::correlation::Slab;
use crate::tiles::{self, Amx, Layout, WORDS};

/// Bytes per row of a tile of weights or biases.
const LINE: usize = 4 * WORDS;

/// Computes one or two tiles of filters for all positions of a slab.
///
/// The right operands are tiles of up to 16 samples, the *columns*: two vectors of samples at one position, or one vector
/// at each of two neighbouring positions. Two tiles of filters and two columns need four loads for four products, and
/// products take longer than loads. Tiles 0 to 3 are the sums `[filters, columns]`, 4 and 5 the weights, 6 and 7 the
/// images.
///
/// The number of columns of a tile equals the number of samples, so a tile is stored directly to the output.
pub struct TileKernel<'a> {
    slab: &'a Slab<'a>,
    steps: Steps,
    /// `[rows, columns, words, V lanes]`.
    packed: &'a [f32],
    /// `[filter tiles, R, steps, 16 filters, 16 words]`.
    weights: &'a [f32],
    /// The number of filters of each tile, and the first filter of all.
    filters: [usize; 2],
    first_filter: usize,
    /// Whether there are two tiles of filters.
    two: bool,
    /// The initial values of the sums.
    bias: Option<[[f32; TILE]; 2]>,
}

impl<'a> TileKernel<'a> {
    /// Prepares the kernel for the filters of one or two tiles, with their weights.
    pub fn new(
        slab: &'a Slab<'a>,
        packed: &'a [f32],
        weights: &'a [f32],
        filters: Range<usize>,
        next: Option<Range<usize>>,
    ) -> TileKernel<'a> {
        let all = filters.start..next.as_ref().unwrap_or(&filters).end;
        let counts = [filters.len(), next.as_ref().map_or(1, |next| next.len())];
        let bias = slab.bias.map(|bias| {
            let bias = &bias[all.clone()];
            let value = |tile: usize, row: usize| *bias.get(tile * counts[0] + row).unwrap_or(&0.0);
            [0, 1].map(|tile| std::array::from_fn(|at| value(tile, at / WORDS)))
        });
        let steps = Steps::of(slab.images.pass);
        let two = next.is_some();
        TileKernel { slab, steps, packed, weights, filters: counts, first_filter: all.start, two, bias }
    }

    /// Computes all positions.
    pub fn run(&self, amx: Amx) {
        let (block, lanes) = (self.slab.images.block, self.slab.images.machine.lanes);
        let samples = [0, block.vectors - 1].map(|vector| (block.samples - vector * lanes).min(lanes));
        let (m, n, k) = (self.filters, samples, self.steps.size);
        let sums = [0, 1, 2, 3].map(|tile| (m[tile / 2], n[tile % 2]));
        let [first, second] = [0, 1].map(|tile| ((m[tile], k), (k, n[tile])));
        let layout = Layout::new([sums[0], sums[1], sums[2], sums[3], first.0, second.0, first.1, second.1]);
        layout.with(amx, || if self.two { self.rows::<2>() } else { self.rows::<1>() });
    }

    #[inline(always)]
    fn rows<const F: usize>(&self) {
        let images = &self.slab.images;
        let (pass, vectors, lanes) = (images.pass, images.block.vectors, images.machine.lanes);
        let pixel = self.steps.words * vectors * lanes;
        for p in self.slab.outputs.clone() {
            let (taps, h) = pass.row.inside(p);
            // The positions of column `at` in the images and in the output.
            let from = |at: usize| at / vectors * pass.column.stride() * pixel + at % vectors * lanes;
            let to = |at: usize| {
                let place = pass.row.place(p) * pass.column.places + pass.column.place(at / vectors);
                place * images.batch + images.block.first + at % vectors * lanes
            };
            let first_row = h.saturating_sub(images.rows.start);
            let columns = pass.column.outputs * vectors;
            for at in (0..columns - 1).step_by(2) {
                self.columns::<F, 2>(taps.clone(), first_row, [at, at + 1].map(from), [at, at + 1].map(to));
            }
            if !columns.is_multiple_of(2) {
                let at = columns - 1;
                self.columns::<F, 1>(taps.clone(), first_row, [from(at)], [to(at)]);
            }
        }
    }

    /// Computes `U` columns, which begin at `from` in packed row `first_row`, over the rows `taps` of the window.
    #[inline(always)]
    fn columns<const F: usize, const U: usize>(
        &self,
        taps: Range<usize>,
        first_row: usize,
        from: [usize; U],
        to: [usize; U],
    ) {
        let images = &self.slab.images;
        let (pass, steps) = (images.pass, self.steps);
        let width = images.block.vectors * images.machine.lanes;
        let row = pass.column.span() * steps.words * width;
        let taps = if steps.count == 0 { 0..0 } else { taps };
        let weight_row = steps.count * TILE;
        let weight_tile = pass.row.taps * weight_row;
        self.begin::<F, U>();
        if !taps.is_empty() {
            let last = (first_row + taps.len() - 1) * row + from[U - 1];
            assert!(last + (steps.run - 1) * width + images.machine.lanes <= self.packed.len());
            assert!(from[0] <= from[U - 1] && F * weight_tile <= self.weights.len());
        }
        for (at, r) in taps.enumerate() {
            let image = self.packed.as_ptr().wrapping_add((first_row + at) * row);
            let mut weight = self.weights.as_ptr().wrapping_add(r * weight_row);
            for step in 0..steps.count {
                let image = image.wrapping_add(steps.first(step) * width);
                let tile = |column: usize| image.wrapping_add(from[column]).cast::<u32>();
                // SAFETY: `run` has configured the tiles; a window row and the weights exist, as asserted.
                unsafe {
                    tiles::load::<6>(tile(0), 4 * width);
                    tiles::load::<4>(weight.cast(), LINE);
                    tiles::multiply_add::<0, 4, 6>();
                    if F == 2 {
                        tiles::load::<5>(weight.wrapping_add(weight_tile).cast(), LINE);
                        tiles::multiply_add::<2, 5, 6>();
                    }
                    if U == 2 {
                        tiles::load::<7>(tile(1), 4 * width);
                        tiles::multiply_add::<1, 4, 7>();
                    }
                    if F == 2 && U == 2 {
                        tiles::multiply_add::<3, 5, 7>();
                    }
                }
                weight = weight.wrapping_add(TILE);
            }
        }
        self.end::<F, U>(to);
    }

    /// Sets the sums to the bias.
    #[inline(always)]
    fn begin<const F: usize, const U: usize>(&self) {
        // SAFETY: `run` has configured the tiles, and each bias fills a tile.
        unsafe {
            if let Some(bias) = &self.bias {
                let [first, second] = [0, 1].map(|tile| bias[tile].as_ptr().cast::<u32>());
                tiles::load::<0>(first, LINE);
                if U == 2 {
                    tiles::load::<1>(first, LINE);
                }
                if F == 2 {
                    tiles::load::<2>(second, LINE);
                }
                if F == 2 && U == 2 {
                    tiles::load::<3>(second, LINE);
                }
            } else {
                tiles::zero::<0>();
                tiles::zero::<1>();
                tiles::zero::<2>();
                tiles::zero::<3>();
            }
        }
    }

    /// Stores the sums.
    #[inline(always)]
    fn end<const F: usize, const U: usize>(&self, to: [usize; U]) {
        let images = &self.slab.images;
        let map = images.pass.row.places * images.pass.column.places * images.batch;
        // SAFETY: filters and places belong to the pass, a tile has one row per filter and one column per sample, and
        // no other task accesses them.
        unsafe {
            let at = |filter: usize, column: usize| {
                let filter = self.first_filter + filter * self.filters[0];
                self.slab.out.at(filter * map + to[column])
            };
            tiles::store::<0>(at(0, 0), 4 * map);
            if U == 2 {
                tiles::store::<1>(at(0, 1), 4 * map);
            }
            if F == 2 {
                tiles::store::<2>(at(1, 0), 4 * map);
            }
            if F == 2 && U == 2 {
                tiles::store::<3>(at(1, 1), 4 * map);
            }
        }
    }
}
