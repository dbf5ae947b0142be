//! Correlations of bf16 values by AMX tiles: a tile product adds the products of 16 filters with 16 samples, for up to 16
//! pairs of values of a window row.
//!
//! Images are packed as `[rows, columns, words, V lanes]`, as for the vector kernels, but with all columns that any
//! output sees: those of the padding are zero, and so is the second value of an odd channel's word. Then the window row
//! of every output is a contiguous run of S words per pixel, and any 16 successive words of it are a tile for 16 samples.
//! So nothing is copied for a position (no im2col).
//!
//! - [`steps`]: how a window row is cut into tiles
//! - `images`, `weights`: packing
//! - `kernel`: loops over positions

mod images;
mod kernel;
mod steps;
mod weights;

use super::avx512_bf16::Avx512Bf16;
use super::correlation::{Products, Slab};
use super::operands::Operands;
use super::pack_weights::LayerWeights;
use super::pass::Pass;
use crate::Precision;
use crate::blocks::{Machine, parts};
use crate::tiles::{Amx, ROWS};
use kernel::TileKernel;
pub use steps::Steps;
use weights::{filter_tile_words, pack_filter_tile};

/// bf16 values in tiles. Vector instructions pack them.
#[derive(Clone, Copy)]
pub struct TileProducts {
    amx: Amx,
    vectors: Avx512Bf16,
}

impl TileProducts {
    /// If values of `precision` can be multiplied in tiles.
    pub fn of(precision: Precision) -> Option<TileProducts> {
        if precision != Precision::Bf16 {
            return None;
        }
        Some(TileProducts { amx: Amx::detect()?, vectors: Avx512Bf16::detect()? })
    }
}

impl Products for TileProducts {
    fn weight_gradient(self) -> Operands {
        Operands::Pairs(self.vectors)
    }

    fn row_words(self, pass: &Pass, samples: usize) -> usize {
        pass.column.span() * Steps::of(pass).words * samples
    }

    fn weight_words(self, pass: &Pass) -> usize {
        pass.filters.div_ceil(ROWS) * filter_tile_words(pass)
    }

    /// As `[R, steps, 16 filters, 16 words]`, filter tile by filter tile.
    fn pack_weights(self, pass: &Pass, _: Machine, weights: &LayerWeights, to: &mut [f32]) {
        let words = filter_tile_words(pass);
        if words > 0 {
            for (filters, to) in parts(pass.filters, ROWS).zip(to.chunks_exact_mut(words)) {
                pack_filter_tile(pass, filters, weights, to);
            }
        }
    }

    fn compute(self, slab: &Slab, packed: &mut [f32]) {
        let pass = slab.images.pass;
        if !packed.is_empty() {
            slab.images.pack_padded(self.vectors, Steps::of(pass).words, packed);
        }
        let words = filter_tile_words(pass);
        let mut tiles = parts(pass.filters, ROWS).enumerate();
        while let Some((first, filters)) = tiles.next() {
            let next = tiles.next().map(|(_, next)| next);
            let count = 1 + usize::from(next.is_some());
            let weights = &slab.weights[first * words..(first + count) * words];
            TileKernel::new(slab, packed, weights, filters, next).run(self.amx);
        }
    }
}
