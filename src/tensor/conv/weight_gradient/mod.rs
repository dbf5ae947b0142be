//! The gradient of the weights: dw[f, c, r, s] = sum over p, q, n of dy[f, p, q, n] x[c, h, v, n].
//!
//! It is a product whose sum runs over positions and samples, so its vectors are of samples on both sides: for F filters
//! and K of the (c, r, s) a kernel keeps F K vectors of sums (4 x 3 fill AVX2's registers), and adds the lanes of each at
//! the very end. In between the sums rest in memory, `lanes` of them a weight.
//!
//! A unit of work is a block of samples at some rows of outputs, whose dy and x are packed channel by channel. Units are
//! dealt to a few groups, whatever the number of threads; each group has sums of its own, which are added in order: the
//! result does not depend on the threads.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use pulp::{Simd, WithSimd};

use super::pack::{Lines, pack};
use super::pass::Pass;
use crate::tensor::blocks::{Line, Machine, Shared, part, parts, room};
use crate::tensor::simd::{dispatch, vectorise};
use crate::tensor::threads::{for_each, thread};

/// Positions of a unit, about: a tile's lines of dy and x stay in the first-level cache, and loading and storing the
/// sums costs little beside adding to them.
const POSITIONS: usize = 64;

/// Sums that are kept apart.
const MOST_DEALS: usize = 4;

/// Distance between packed channels, beyond their contents: they must not all fall into the same sets of a cache.
const GAP: usize = 16;

/// K of the (c, r, s): channels at one tap, or taps of one row at one channel.
#[derive(Clone, Copy, Debug)]
struct Taps {
    r: usize,
    s: usize,
    c: usize,
    count: usize,
}

/// The gradient of one convolution's weights, planned.
pub struct WeightGradient {
    /// The forward pass of one group.
    pass: Pass,
    machine: Machine,
    groups: usize,
    /// Whether tiles hold neighbouring taps instead of channels.
    along_taps: bool,
    /// By K, from 1 on.
    tiles: [Vec<Taps>; 3],
    /// Rows of outputs of a unit.
    rows: usize,
    /// `[deals, weights and biases of all groups]`.
    sums: Vec<f32>,
}

/// Most filters of a tile with K taps or channels.
fn most_filters(machine: Machine, taps: usize) -> usize {
    match (machine.registers >= 32, taps) {
        (_, 1) => 8,
        (true, _) => 8,
        (false, 2) => 6,
        (false, _) => 4,
    }
}

impl WeightGradient {
    /// Of the convolution whose forward pass in each of `groups` groups is `pass`.
    pub fn new(pass: Pass, machine: Machine, groups: usize) -> WeightGradient {
        let Pass { channels, row, column, .. } = pass;
        // Neighbouring taps see the same positions only if none of them sees padding.
        let inside = |q: usize| column.inside(q).0 == (0..column.taps);
        let along_taps = channels < 3 && (0..column.outputs).all(inside);
        let mut tiles = [Vec::new(), Vec::new(), Vec::new()];
        let mut tile = |r, s, c, count: usize| tiles[count - 1].push(Taps { r, s, c, count });
        if along_taps {
            for c in 0..channels {
                for r in 0..row.taps {
                    parts(column.taps, 3).for_each(|taps| tile(r, taps.start, c, taps.len()));
                }
            }
        } else {
            for c in parts(channels, 3) {
                for r in 0..row.taps {
                    (0..column.taps).for_each(|s| tile(r, s, c.start, c.len()));
                }
            }
        }
        let rows = Self::rows(&pass);
        let sums = vec![0.0; MOST_DEALS * groups * (pass.weight_elements() + pass.filters)];
        WeightGradient { pass, machine, groups, along_taps, tiles, rows, sums }
    }

    /// Elements of [`WeightGradient::sums`], without making it.
    pub fn sums_elements(pass: &Pass, groups: usize) -> usize {
        MOST_DEALS * groups * (pass.weight_elements() + pass.filters)
    }

    /// Distances between packed channels of x, and between packed filters of dy.
    fn planes(pass: &Pass, machine: Machine, rows: usize) -> (usize, usize) {
        let width = 2 * machine.lanes;
        (pass.row.most_seen(rows) * pass.column.size * width + GAP, rows * pass.column.outputs * width + GAP)
    }

    /// Room a thread needs for the weight gradient of `pass`, in elements.
    pub fn scratch(pass: &Pass, machine: Machine) -> usize {
        let (x, dy) = Self::planes(pass, machine, Self::rows(pass));
        let lanes = machine.lanes * (pass.weight_elements() + pass.filters);
        pass.channels * x + pass.filters * dy + lanes
    }

    fn rows(pass: &Pass) -> usize {
        (POSITIONS / pass.column.outputs.max(1)).clamp(1, pass.row.outputs.max(1))
    }

    /// Overwrites `weight` `[groups * F, C, R, S]` and `bias` `[groups * F]`, for `x` `[groups * C, H, W, batch]` and `dy`
    /// `[groups * F, P, Q, batch]`.
    pub fn run(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        scratch: &[Mutex<Vec<Line>>],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        let Pass { channels, filters, row, column, .. } = self.pass;
        assert_eq!(x.len(), self.groups * channels * row.size * column.size * batch);
        assert_eq!(dy.len(), self.groups * filters * row.outputs * column.outputs * batch);
        let units = self.machine.blocks(batch) * row.outputs.div_ceil(self.rows);
        let deal_units = units.div_ceil(MOST_DEALS).max(1);
        let deals = units.div_ceil(deal_units);
        let each = self.pass.weight_elements() + filters;
        let mut sums = std::mem::take(&mut self.sums);
        let shared = Shared(sums.as_mut_ptr());
        for_each(deals * self.groups, |task| {
            let (group, deal) = (task / deals, task % deals);
            let mut scratch =
                scratch[thread() % scratch.len()].lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: inside the sums, and each task has a part of its own.
            let sums = unsafe {
                std::slice::from_raw_parts_mut(shared.at((deal * self.groups + group) * each), each)
            };
            self.deal(batch, group, part(units, deal_units, deal), x, dy, &mut scratch, sums);
        });
        let (first, rest) = sums.split_at_mut(self.groups * each);
        for other in rest.chunks_exact(self.groups * each).take(deals - 1) {
            vectorise(
                #[inline(always)]
                || first.iter_mut().zip(other).for_each(|(sum, other)| *sum += other),
            );
        }
        for (group, weight) in weight.chunks_exact_mut(self.pass.weight_elements()).enumerate() {
            weight.copy_from_slice(&first[group * each..][..weight.len()]);
        }
        if let Some(bias) = bias {
            for (group, bias) in bias.chunks_exact_mut(filters).enumerate() {
                bias.copy_from_slice(&first[(group + 1) * each - filters..(group + 1) * each]);
            }
        }
        self.sums = sums;
    }

    /// The sums of some units: the weights, then the biases.
    #[allow(clippy::too_many_arguments)]
    fn deal(
        &self,
        batch: usize,
        group: usize,
        units: Range<usize>,
        x: &[f32],
        dy: &[f32],
        scratch: &mut Vec<Line>,
        sums: &mut [f32],
    ) {
        let Pass { channels, filters, row, column, .. } = self.pass;
        let (weights, lanes) = (self.pass.weight_elements(), self.machine.lanes);
        let needed = Self::scratch(&self.pass, self.machine);
        if scratch.len() * 16 < needed {
            *scratch = room(needed);
        }
        let (x_plane, dy_plane) = Self::planes(&self.pass, self.machine, self.rows);
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        let (x_packed, rest) = scratch.split_at_mut(channels * x_plane);
        let (dy_packed, rest) = rest.split_at_mut(filters * dy_plane);
        let (weight_lanes, rest) = rest.split_at_mut(weights * lanes);
        let bias_lanes = &mut rest[..filters * lanes];
        weight_lanes.fill(0.0);
        bias_lanes.fill(0.0);
        let (x, dy) = (
            &x[group * channels * row.size * column.size * batch..],
            &dy[group * filters * row.outputs * column.outputs * batch..],
        );
        let blocks = self.machine.blocks(batch);
        for unit in units {
            let block = self.machine.block(batch, unit % blocks);
            let outputs = part(row.outputs, self.rows, unit / blocks);
            let (seen, width) = (row.seen(outputs.clone()), block.vectors * lanes);
            let copy = |count: usize,
                        rows: Range<usize>,
                        size: (usize, usize),
                        images: &[f32],
                        plane,
                        to: &mut [f32]| {
                let lines = Lines {
                    count: [count, 1, rows.len() * size.1],
                    from: [size.0 * size.1 * batch, 0, batch],
                    to: [plane, 0, width],
                };
                pack(&lines, block, lanes, &images[rows.start * size.1 * batch + block.first..], to);
            };
            copy(channels, seen.clone(), (row.size, column.size), x, x_plane, x_packed);
            copy(filters, outputs.clone(), (row.outputs, column.outputs), dy, dy_plane, dy_packed);
            let contents = outputs.len() * column.outputs * width;
            for (plane, sums) in dy_packed.chunks_exact(dy_plane).zip(bias_lanes.chunks_exact_mut(lanes)) {
                add_lanes(&plane[..contents], sums);
            }
            let mut lanes_at = 0;
            for tiles in self.tiles.iter().filter(|tiles| !tiles.is_empty()) {
                let taps = tiles[0].count;
                for filters in parts(filters, most_filters(self.machine, taps)) {
                    let size = filters.len() * taps * tiles.len() * lanes;
                    let work = Work {
                        plan: self,
                        tiles,
                        outputs: outputs.clone(),
                        first_row: seen.start,
                        vectors: block.vectors,
                        x: x_packed,
                        x_plane,
                        dy: &dy_packed[filters.start * dy_plane..filters.end * dy_plane],
                        dy_plane,
                        lanes: &mut weight_lanes[lanes_at..lanes_at + size],
                    };
                    lanes_at += size;
                    work.on(filters.len(), taps);
                }
            }
        }
        self.finish(weight_lanes, bias_lanes, sums);
    }

    /// Adds the lanes of each sum.
    fn finish(&self, weight_lanes: &[f32], bias_lanes: &[f32], sums: &mut [f32]) {
        let Pass { channels, filters, row, column, .. } = self.pass;
        let area = row.taps * column.taps;
        let (weights, biases) = sums.split_at_mut(filters * channels * area);
        let mut lanes = weight_lanes.chunks_exact(self.machine.lanes);
        for tiles in self.tiles.iter().filter(|tiles| !tiles.is_empty()) {
            for filters in parts(filters, most_filters(self.machine, tiles[0].count)) {
                for tile in tiles {
                    for f in filters.clone() {
                        let first = (f * channels + tile.c) * area + tile.r * column.taps + tile.s;
                        let step = if self.along_taps { 1 } else { area };
                        for (k, lanes) in lanes.by_ref().take(tile.count).enumerate() {
                            weights[first + k * step] = lanes.iter().sum();
                        }
                    }
                }
            }
        }
        for (bias, lanes) in biases.iter_mut().zip(bias_lanes.chunks_exact(self.machine.lanes)) {
            *bias = lanes.iter().sum();
        }
    }
}

/// Adds vectors to one of sums.
fn add_lanes(values: &[f32], sums: &mut [f32]) {
    struct Add<'a>(&'a [f32], &'a mut [f32]);
    impl WithSimd for Add<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let (values, sum) = (S::as_simd_f32s(self.0).0, &mut S::as_mut_simd_f32s(self.1).0[0]);
            // Four chains: one addition takes four cycles.
            let mut chains = [*sum, simd.splat_f32s(0.0), simd.splat_f32s(0.0), simd.splat_f32s(0.0)];
            let (fours, rest) = values.as_chunks::<4>();
            for four in fours {
                for (chain, value) in chains.iter_mut().zip(four) {
                    *chain = simd.add_f32s(*chain, *value);
                }
            }
            for value in rest {
                chains[0] = simd.add_f32s(chains[0], *value);
            }
            let pair = simd.add_f32s(chains[0], chains[1]);
            *sum = simd.add_f32s(pair, simd.add_f32s(chains[2], chains[3]));
        }
    }
    dispatch(Add(values, sums));
}

/// All tiles with equally many taps, for some filters and one unit.
struct Work<'a> {
    plan: &'a WeightGradient,
    tiles: &'a [Taps],
    outputs: Range<usize>,
    first_row: usize,
    vectors: usize,
    x: &'a [f32],
    x_plane: usize,
    dy: &'a [f32],
    dy_plane: usize,
    lanes: &'a mut [f32],
}

impl Work<'_> {
    fn on(self, filters: usize, taps: usize) {
        match (filters, taps) {
            (1, 1) => dispatch(Tiles::<1, 1>(self)),
            (2, 1) => dispatch(Tiles::<2, 1>(self)),
            (3, 1) => dispatch(Tiles::<3, 1>(self)),
            (4, 1) => dispatch(Tiles::<4, 1>(self)),
            (5, 1) => dispatch(Tiles::<5, 1>(self)),
            (6, 1) => dispatch(Tiles::<6, 1>(self)),
            (7, 1) => dispatch(Tiles::<7, 1>(self)),
            (8, 1) => dispatch(Tiles::<8, 1>(self)),
            (1, 2) => dispatch(Tiles::<1, 2>(self)),
            (2, 2) => dispatch(Tiles::<2, 2>(self)),
            (3, 2) => dispatch(Tiles::<3, 2>(self)),
            (4, 2) => dispatch(Tiles::<4, 2>(self)),
            (5, 2) => dispatch(Tiles::<5, 2>(self)),
            (6, 2) => dispatch(Tiles::<6, 2>(self)),
            (7, 2) => dispatch(Tiles::<7, 2>(self)),
            (8, 2) => dispatch(Tiles::<8, 2>(self)),
            (1, 3) => dispatch(Tiles::<1, 3>(self)),
            (2, 3) => dispatch(Tiles::<2, 3>(self)),
            (3, 3) => dispatch(Tiles::<3, 3>(self)),
            (4, 3) => dispatch(Tiles::<4, 3>(self)),
            (5, 3) => dispatch(Tiles::<5, 3>(self)),
            (6, 3) => dispatch(Tiles::<6, 3>(self)),
            (7, 3) => dispatch(Tiles::<7, 3>(self)),
            (8, 3) => dispatch(Tiles::<8, 3>(self)),
            other => unreachable!("a tile of {other:?}"),
        }
    }
}

struct Tiles<'a, const F: usize, const K: usize>(Work<'a>);

impl<const F: usize, const K: usize> WithSimd for Tiles<'_, F, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Work { plan, tiles, outputs, first_row, vectors, x, x_plane, dy, dy_plane, lanes } = self.0;
        let Pass { row, column, .. } = plan.pass;
        let width = vectors * S::F32_LANES;
        let k_step = if plan.along_taps { width } else { x_plane };
        // Elements from one output to the next, along a column and along a row.
        let (x_step, x_row) = (column.stride() * width, row.stride() * column.size * width);
        let (sums, _) = S::as_mut_simd_f32s(lanes);
        for (tile, sums) in tiles.iter().zip(sums.chunks_exact_mut(F * K)) {
            let (rows, columns) = (row.outputs_of(tile.r), column.outputs_of(tile.s));
            let rows = rows.start.max(outputs.start)..rows.end.min(outputs.end);
            if rows.is_empty() || columns.is_empty() {
                continue;
            }
            let (h, v) = (row.pixel(rows.start, tile.r) - first_row, column.pixel(columns.start, tile.s));
            let x_at = tile.c * x_plane + (h * column.size + v) * width;
            let dy_at = ((rows.start - outputs.start) * column.outputs + columns.start) * width;
            let mut kept = [[simd.splat_f32s(0.0); K]; F];
            for f in 0..F {
                for k in 0..K {
                    kept[f][k] = sums[f * K + k];
                }
            }
            let last_x =
                x_at + (rows.len() - 1) * x_row + (columns.len() - 1) * x_step + (K - 1) * k_step + width;
            let last_dy =
                dy_at + (F - 1) * dy_plane + ((rows.len() - 1) * column.outputs + columns.len()) * width;
            assert!(last_x <= x.len() && last_dy <= dy.len());
            for p in 0..rows.len() {
                // SAFETY: positions of the unit and the pixels under them are packed, as asserted.
                unsafe {
                    let x = x.as_ptr().add(x_at + p * x_row);
                    let dy = dy.as_ptr().add(dy_at + p * column.outputs * width);
                    let line = Outputs { x, x_step, k_step, dy, dy_plane };
                    // With a stride of 1 all vectors of a row lie side by side.
                    match (x_step == width, vectors) {
                        (true, _) => Outputs { x_step: S::F32_LANES, ..line }.multiply_add::<S, F, K, 1>(
                            simd,
                            columns.len() * vectors,
                            &mut kept,
                        ),
                        (false, 1) => line.multiply_add::<S, F, K, 1>(simd, columns.len(), &mut kept),
                        (false, _) => line.multiply_add::<S, F, K, 2>(simd, columns.len(), &mut kept),
                    }
                }
            }
            for f in 0..F {
                for k in 0..K {
                    sums[f * K + k] = kept[f][k];
                }
            }
        }
    }
}

/// A row of outputs and the pixels under it.
struct Outputs {
    x: *const f32,
    x_step: usize,
    k_step: usize,
    dy: *const f32,
    dy_plane: usize,
}

impl Outputs {
    /// `sums[f][k] += dy[f] x[k]` for V vectors at each of `positions` places.
    #[inline(always)]
    unsafe fn multiply_add<S: Simd, const F: usize, const K: usize, const V: usize>(
        self,
        simd: S,
        positions: usize,
        sums: &mut [[S::f32s; K]; F],
    ) {
        let mut kept = *sums;
        let (mut x, mut dy) = (self.x, self.dy);
        for _ in 0..positions {
            for v in 0..V {
                // SAFETY: the caller's: all of this is packed.
                unsafe {
                    let mut values = [simd.splat_f32s(0.0); K];
                    for k in 0..K {
                        let at = x.add(k * self.k_step + v * S::F32_LANES);
                        values[k] = at.cast::<S::f32s>().read_unaligned();
                    }
                    for f in 0..F {
                        let at = dy.add(f * self.dy_plane + v * S::F32_LANES);
                        let slope = at.cast::<S::f32s>().read_unaligned();
                        for k in 0..K {
                            kept[f][k] = simd.mul_add_e_f32s(slope, values[k], kept[f][k]);
                        }
                    }
                }
            }
            // After the last position neither is read.
            x = x.wrapping_add(self.x_step);
            dy = dy.wrapping_add(V * S::F32_LANES);
        }
        *sums = kept;
    }
}
