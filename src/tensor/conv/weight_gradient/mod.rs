//! The gradient of the weights: dw[f, c, r, s] = sum over p, q, n of dy[f, p, q, n] x[c, h, v, n].
//!
//! It is a product whose sum runs over positions and samples, so its vectors are of samples on both sides: for F filters
//! and K of the (c, r, s) a kernel keeps F K vectors of sums (4 x 3 fill AVX2's registers), and adds the lanes of each at
//! the very end. In between the sums rest in memory, `lanes` of them a weight.
//!
//! A work item is a block of samples at some rows of outputs, whose dy and x are packed channel by channel. Work
//! items are split among a few partial sums, whatever the number of threads, and those are added in order: the result
//! does not depend on the threads.

mod partial_sum;
mod tiles;

use std::sync::{Mutex, PoisonError};

use super::pass::Pass;
use crate::blocks::{Line, Machine, Shared, part, parts};
use crate::simd::vectorise;
use crate::threads::{for_each, thread};
use partial_sum::PartialSum;

/// Positions of a work item, about: a tile's lines of dy and x stay in the first-level cache, and loading and storing the
/// sums costs little beside adding to them.
const POSITIONS: usize = 64;

/// The most partial sums.
const MAX_PARTIAL_SUMS: usize = 4;

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
    /// Rows of outputs of a work item.
    rows: usize,
    /// `[partial sums, weights and biases of all groups]`.
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
        let sums = vec![0.0; MAX_PARTIAL_SUMS * groups * (pass.weight_elements() + pass.filters)];
        WeightGradient { pass, machine, groups, along_taps, tiles, rows, sums }
    }

    /// Elements of [`WeightGradient::sums`], without making it.
    pub fn sums_elements(pass: &Pass, groups: usize) -> usize {
        MAX_PARTIAL_SUMS * groups * (pass.weight_elements() + pass.filters)
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
        let work_items = self.machine.blocks(batch) * row.outputs.div_ceil(self.rows);
        let items_per_sum = work_items.div_ceil(MAX_PARTIAL_SUMS).max(1);
        let partial_sums = work_items.div_ceil(items_per_sum);
        let each = self.pass.weight_elements() + filters;
        let mut sums = std::mem::take(&mut self.sums);
        let shared = Shared(sums.as_mut_ptr());
        for_each(partial_sums * self.groups, |task| {
            let (group, partial_sum) = (task / partial_sums, task % partial_sums);
            let mut scratch =
                scratch[thread() % scratch.len()].lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: inside the sums, and each task has a part of its own.
            let sums = unsafe {
                std::slice::from_raw_parts_mut(shared.at((partial_sum * self.groups + group) * each), each)
            };
            let partial_sum = PartialSum {
                gradient: self,
                work_items: part(work_items, items_per_sum, partial_sum),
                batch,
                x: &x[group * channels * row.size * column.size * batch..],
                dy: &dy[group * filters * row.outputs * column.outputs * batch..],
            };
            partial_sum.run(&mut scratch, sums);
        });
        let (first, rest) = sums.split_at_mut(self.groups * each);
        for other in rest.chunks_exact(self.groups * each).take(partial_sums - 1) {
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
}
