//! Packs the weights of up to 16 filters: the left operands of tile products.

use std::ops::Range;

use super::steps::Steps;
use crate::bf16::round;
use crate::conv::pack_weights::LayerWeights;
use crate::conv::pass::Pass;
use crate::tiles::{ROWS, WORDS};

/// The number of words of a tile. Each row is a cache line.
pub const TILE: usize = ROWS * WORDS;

/// The number of packed words of all tiles of up to 16 filters.
pub fn filter_tile_words(pass: &Pass) -> usize {
    pass.row.taps * Steps::of(pass).count * TILE
}

/// Packs `filters`, at most 16, as `[R, steps, 16 filters, 16 words]`. Words that tile products do not read are left
/// unchanged.
pub fn pack_filter_tile(pass: &Pass, filters: Range<usize>, weights: &LayerWeights, to: &mut [f32]) {
    let steps = Steps::of(pass);
    let (filter, channel) = weights.distances(pass);
    let mut tiles = to.chunks_exact_mut(TILE);
    for r in 0..pass.row.taps {
        for (step, tile) in (0..steps.count).zip(tiles.by_ref()) {
            for (at, word) in (steps.first(step)..).take(steps.size).enumerate() {
                let rows = tile[at..].iter_mut().step_by(WORDS).take(filters.len());
                if at < steps.added(step) {
                    rows.for_each(|to| *to = 0.0);
                    continue;
                }
                let (s, c) = (word / steps.words, word % steps.words * 2);
                let first = &weights.tap(pass, r, s)[filters.start * filter + c * channel..];
                // If the number of channels is odd, the second value of the last word is zero.
                let second = first.get(channel..).filter(|_| c + 1 < pass.channels);
                for (f, to) in rows.enumerate() {
                    let second = second.map_or(0, |second| u32::from(round(second[f * filter])));
                    *to = f32::from_bits(u32::from(round(first[f * filter])) << 16 | second);
                }
            }
        }
    }
}
