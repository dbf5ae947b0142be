//! Correlations of bf16 values with AMX tiles: a tile product multiplies 16 filters by 16 samples and adds up to 16
//! pairs of values of a window row.
//!
//! Images are packed as `[rows, columns, words, V lanes]`, as for the vector kernels, but with all columns that any
//! output reads. Padding columns are zero. If the number of channels is odd, the second value of the last word of a
//! pixel is zero. The window row of every output is then a contiguous run of the words of S pixels, and any 16
//! successive words of this run form a tile for 16 samples. No values are copied for a position (no im2col).
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

/// Products of bf16 values with tiles. Vector instructions pack the values.
#[derive(Clone, Copy)]
pub struct TileProducts {
    amx: Amx,
    vectors: Avx512Bf16,
}

impl TileProducts {
    /// The products, if tiles can multiply values of `precision`.
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

    /// Packs weights as `[R, steps, 16 filters, 16 words]`, one filter tile after another.
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
        if !packed.is_empty() && Steps::of(pass).run > 0 {
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
