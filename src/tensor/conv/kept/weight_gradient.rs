//! dw[f, k] = sum over p, q, n of dy[f, p, q, n] x_k[p, q, n], x_k being the pixel under column k.
//!
//! As in the gradient of whole kernels ([`super::super::weight_gradient`]) both sides are vectors of samples: F filters times K
//! columns (4 x 3 with AVX2) stay in registers over a unit of work, their lanes rest in memory between units and are added
//! at the very end; units are dealt to a few sums whatever the threads are, so that the result does not depend on them.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::padded::Samples;
use super::{Chunk, Kept, Plan, own};
use crate::blocks::{Machine, Shared, part, parts};
use crate::conv::pack::{Lines, pack};
use crate::simd::{dispatch, sum};
use crate::threads::for_each;

/// Sums that are kept apart.
pub const MOST_DEALS: usize = 4;

/// Positions of a unit, about: a tile's lines of dy and x stay in the first-level cache, and loading and storing the
/// sums costs little beside adding to them.
const POSITIONS: usize = 64;

/// Distance between packed filters of dy beyond their contents: they must not all fall into the same sets of a cache.
const GAP: usize = 16;

/// Columns of a tile.
const COLUMNS: usize = 3;

fn most_filters(machine: Machine) -> usize {
    if machine.registers >= 32 { 8 } else { 4 }
}

/// Rows of outputs of a unit.
pub fn outputs(plan: &Plan) -> usize {
    let (rows, columns) = plan.shape.window.output;
    (POSITIONS / columns).clamp(1, rows)
}

/// Elements from one packed filter of dy to the next.
fn plane(plan: &Plan) -> usize {
    plan.weight_gradient.outputs * plan.shape.window.output.1 * 2 * plan.machine.lanes + GAP
}

/// Room a thread needs, in elements: x and dy of a unit, and lanes of sums.
pub fn scratch(plan: &Plan) -> usize {
    let most = |count: fn(&Chunk) -> usize| plan.chunks.iter().map(count).max().unwrap_or(0);
    let x = most(|chunk| chunk.channels.len()) * plan.images.lines(plan.weight_gradient.rows) * 2;
    let sums = plan.filters * most(|chunk| chunk.columns.len());
    (x + sums) * plan.machine.lanes + plan.filters * plane(plan)
}

impl Kept {
    /// See [`super::super::Convolution::weight_gradient`]; `weight` is `[F, K]`.
    pub fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        let Kept { plan, scratch, sums, .. } = self;
        let window = plan.shape.group();
        let (map, images) = (window.positions() * batch, window.image() * batch);
        assert_eq!(dy.len(), plan.shape.filters * map, "dy is that of the shape");
        assert_eq!(x.len(), plan.shape.groups * images, "the images are those of the shape");
        if let Some(bias) = bias {
            bias.iter_mut().zip(dy.chunks_exact(map)).for_each(|(bias, map)| *bias = sum(map));
        }
        let units = plan.machine.blocks(batch) * window.output.0.div_ceil(plan.weight_gradient.outputs);
        let deal_units = units.div_ceil(MOST_DEALS).max(1);
        let deals = units.div_ceil(deal_units);
        let (chunks, groups) = (plan.chunks.len(), plan.shape.groups);
        let (shared, room) = (Shared(sums.as_mut_ptr()), self::scratch(plan));
        for_each(deals * groups * chunks, |task| {
            let (group, chunk) = (task / chunks % groups, &plan.chunks[task % chunks]);
            let deal = task / (chunks * groups);
            let first = (deal * groups + group) * plan.weights() + chunk.columns.start * plan.filters;
            // SAFETY: inside the sums, and each task has a part of its own.
            let sums = unsafe {
                std::slice::from_raw_parts_mut(shared.at(first), chunk.columns.len() * plan.filters)
            };
            let deal = Deal {
                plan,
                chunk,
                units: part(units, deal_units, deal),
                batch,
                x: &x[group * images..][..images],
                dy: &dy[group * plan.filters * map..][..plan.filters * map],
            };
            deal.run(&mut bytemuck::cast_slice_mut(&mut own(scratch, room))[..room], sums);
        });
        plan.add_deals(deals, sums, weight);
    }
}

impl Plan {
    /// Adds the sums of all deals, `[deals, groups, chunks, F, columns of the chunk]`, in order.
    fn add_deals(&self, deals: usize, sums: &[f32], weight: &mut [f32]) {
        let each = self.shape.groups * self.weights();
        for (group, weight) in weight.chunks_exact_mut(self.weights()).enumerate() {
            for chunk in &self.chunks {
                let first = group * self.weights() + chunk.columns.start * self.filters;
                for (f, filter) in weight.chunks_exact_mut(self.columns.len()).enumerate() {
                    for (k, weight) in filter[chunk.columns.clone()].iter_mut().enumerate() {
                        let at = first + f * chunk.columns.len() + k;
                        *weight = (0..deals).map(|deal| sums[deal * each + at]).sum();
                    }
                }
            }
        }
    }
}

/// Some units of one group and one chunk of its channels.
struct Deal<'a> {
    plan: &'a Plan,
    chunk: &'a Chunk,
    units: Range<usize>,
    batch: usize,
    /// The group's.
    x: &'a [f32],
    dy: &'a [f32],
}

impl Deal<'_> {
    /// Overwrites `sums` `[F, columns of the chunk]` by those of the units.
    fn run(self, scratch: &mut [f32], sums: &mut [f32]) {
        let Deal { plan, chunk, batch, .. } = self;
        let lanes = plan.machine.lanes;
        let (resting, scratch) = scratch.split_at_mut(sums.len() * lanes);
        let (dy, packed) = scratch.split_at_mut(plan.filters * plane(plan));
        resting.fill(0.0);
        let blocks = plan.machine.blocks(batch);
        for unit in self.units.clone() {
            let block = plan.machine.block(batch, unit % blocks);
            let samples = Samples { block, lanes, batch };
            let outputs = part(plan.shape.window.output.0, plan.weight_gradient.outputs, unit / blocks);
            let channels = &plan.channels[chunk.channels.clone()];
            let seen = plan.images.seen(outputs.clone());
            plan.images.pack(channels, seen, plan.weight_gradient.rows, samples, self.x, packed);
            self.pack_slopes(outputs.clone(), samples, dy);
            self.add(outputs.len(), block.vectors, packed, dy, resting);
        }
        self.finish(resting, sums);
    }

    /// Copies rows of dy to `[F, rows, Q, width]`.
    fn pack_slopes(&self, outputs: Range<usize>, samples: Samples, packed: &mut [f32]) {
        let window = self.plan.shape.window;
        let copy = Lines {
            count: [1, self.plan.filters, outputs.len() * window.output.1],
            from: [0, window.positions() * self.batch, self.batch],
            to: [0, plane(self.plan), samples.width()],
        };
        let first = outputs.start * window.output.1 * self.batch + samples.block.first;
        pack(&copy, samples.block, samples.lanes, &self.dy[first..], packed);
    }

    /// Blocks of filters and of the chunk's columns, in the order in which their sums rest.
    fn tiles(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + use<> {
        let (filters, columns) = (self.plan.filters, self.chunk.columns.len());
        let most = most_filters(self.plan.machine);
        parts(filters, most).flat_map(move |f| parts(columns, COLUMNS).map(move |k| (f.clone(), k)))
    }

    /// Adds what is packed to the sums.
    fn add(&self, outputs: usize, vectors: usize, x: &[f32], dy: &[f32], resting: &mut [f32]) {
        let (plan, mut rest) = (self.plan, resting);
        for (filters, columns) in self.tiles() {
            let (lanes, others) = rest.split_at_mut(filters.len() * columns.len() * plan.machine.lanes);
            rest = others;
            let first = self.chunk.columns.start;
            let offsets = &plan.weight_gradient.offsets[first + columns.start..first + columns.end];
            let dy = &dy[filters.start * plane(plan)..filters.end * plane(plan)];
            Work { plan, offsets, outputs, vectors, x, dy, lanes }.on(filters.len());
        }
    }

    /// Adds the lanes of each sum.
    fn finish(&self, resting: &[f32], sums: &mut [f32]) {
        let mut lanes = resting.chunks_exact(self.plan.machine.lanes);
        for (filters, columns) in self.tiles() {
            for f in filters {
                for k in columns.clone() {
                    let lanes = lanes.next().map_or(0.0, |lanes| lanes.iter().sum());
                    sums[f * self.chunk.columns.len() + k] = lanes;
                }
            }
        }
    }
}

/// Some filters and columns, and one unit.
struct Work<'a> {
    plan: &'a Plan,
    /// Of the K columns.
    offsets: &'a [usize],
    /// Rows of outputs.
    outputs: usize,
    vectors: usize,
    x: &'a [f32],
    dy: &'a [f32],
    lanes: &'a mut [f32],
}

impl Work<'_> {
    fn on(self, filters: usize) {
        match self.offsets.len() {
            1 => self.columns::<1>(filters),
            2 => self.columns::<2>(filters),
            _ => self.columns::<COLUMNS>(filters),
        }
    }

    fn columns<const K: usize>(self, filters: usize) {
        match filters {
            1 => self.vectors::<1, K>(),
            2 => self.vectors::<2, K>(),
            3 => self.vectors::<3, K>(),
            4 => self.vectors::<4, K>(),
            5 => self.vectors::<5, K>(),
            6 => self.vectors::<6, K>(),
            7 => self.vectors::<7, K>(),
            8 => self.vectors::<8, K>(),
            other => unreachable!("a block of {other} filters"),
        }
    }

    fn vectors<const F: usize, const K: usize>(self) {
        match self.vectors {
            1 => dispatch(Tiles::<F, K, 1>(self)),
            _ => dispatch(Tiles::<F, K, 2>(self)),
        }
    }
}

struct Tiles<'a, const F: usize, const K: usize, const V: usize>(Work<'a>);

impl<const F: usize, const K: usize, const V: usize> WithSimd for Tiles<'_, F, K, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Work { plan, offsets, outputs, x, dy, lanes, .. } = self.0;
        let (width, columns, dy_plane) = (V * S::F32_LANES, plan.shape.window.output.1, plane(plan));
        let step = plan.images.stride.1 * width;
        let offsets: [usize; K] = std::array::from_fn(|k| offsets[k] * width);
        let most = offsets.iter().max().copied().unwrap_or(0);
        assert!(most + (plan.images.place(outputs - 1, columns - 1) + 1) * width <= x.len());
        assert!((F - 1) * dy_plane + outputs * columns * width <= dy.len());
        let (sums, _) = S::as_mut_simd_f32s(lanes);
        let mut kept = [[simd.splat_f32s(0.0); K]; F];
        for f in 0..F {
            for k in 0..K {
                kept[f][k] = sums[f * K + k];
            }
        }
        for p in 0..outputs {
            // SAFETY: the unit's rows of dy and the pixels under them are packed, as asserted.
            unsafe {
                let mut pixel = x.as_ptr().add(plan.images.place(p, 0) * width);
                let mut slope = dy.as_ptr().add(p * columns * width);
                for _ in 0..columns {
                    for v in 0..V {
                        let mut values = [simd.splat_f32s(0.0); K];
                        for k in 0..K {
                            let at = pixel.add(offsets[k] + v * S::F32_LANES);
                            values[k] = at.cast::<S::f32s>().read_unaligned();
                        }
                        for f in 0..F {
                            let at = slope.add(f * dy_plane + v * S::F32_LANES);
                            let slope = at.cast::<S::f32s>().read_unaligned();
                            for k in 0..K {
                                kept[f][k] = simd.mul_add_e_f32s(slope, values[k], kept[f][k]);
                            }
                        }
                    }
                    // After the last output neither is read.
                    pixel = pixel.wrapping_add(step);
                    slope = slope.wrapping_add(width);
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
