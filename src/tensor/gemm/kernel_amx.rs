//! The micro-kernel in bf16 with tiles of AMX: 2 x 2 tiles of sums. The rows of `a` are in two tiles, of which
//! the second may have a row less; so all rows of a panel cost the same, however many there are.
//!
//! A product of tiles adds 32 values of k to each sum, as [`crate::bf16::add_products`] defines it.

use super::lines::ROW_WORDS;
use super::tile::Tile;
use crate::simd::const_dispatch;
use crate::tiles::{self, Amx, Layout};

/// Sums of a row of a tile.
const LANES: usize = tiles::WORDS;

/// Runs `work` with tiles for `rows` rows.
pub fn with_rows(rows: usize, work: impl FnOnce()) {
    let upper = rows.div_ceil(2);
    let lower = (rows - upper).max(1);
    let [upper, lower, b] = [(upper, tiles::WORDS), (lower, tiles::WORDS), (tiles::ROWS, tiles::WORDS)];
    let amx = Amx::detect();
    let amx = amx.unwrap_or_else(|| unreachable!("tiles are an arithmetic of machines with AMX"));
    Layout::new([upper, upper, lower, lower, upper, lower, b, b]).with(amx, work);
}

/// Computes a tile of `rows` rows and `vectors` vectors.
///
/// # Safety
/// See [`Tile`]. It runs inside [`with_rows`].
pub unsafe fn compute(tile: &Tile, rows: usize, vectors: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if tile.beta != 0.0 && tile.beta != 1.0 {
            scale(tile, rows, vectors);
        }
        const_dispatch!(V = vectors, in [1, 2];
            R = rows.min(2), in [1, 2];
            sums::<R, V>(tile, rows.div_ceil(2)));
    }
}

/// `c = beta c`.
///
/// # Safety
/// See [`Tile`].
unsafe fn scale(tile: &Tile, rows: usize, vectors: usize) {
    for row in 0..rows as isize {
        // SAFETY: a row of `c`, which only the caller accesses.
        let row =
            unsafe { std::slice::from_raw_parts_mut(tile.c.offset(row * tile.row_stride), vectors * LANES) };
        row.iter_mut().for_each(|sum| *sum *= tile.beta);
    }
}

/// R x V tiles of sums, of which the upper ones have `upper` rows.
///
/// # Safety
/// See [`compute`].
unsafe fn sums<const R: usize, const V: usize>(tile: &Tile, upper: usize) {
    let c = |r: usize, v: usize| {
        tile.c.wrapping_offset((r * upper) as isize * tile.row_stride).wrapping_add(v * LANES)
    };
    let stride = (tile.row_stride * size_of::<f32>() as isize) as usize;
    // SAFETY: the caller guarantees R tiles of rows with V vectors at `c`, and for each 16 words the rows of these
    // tiles at `a` and 16 rows of V vectors at `b`.
    unsafe {
        if tile.beta == 0.0 {
            tiles::zero::<0>();
            tiles::zero::<1>();
            tiles::zero::<2>();
            tiles::zero::<3>();
        } else {
            tiles::load::<0>(c(0, 0).cast(), stride);
            if V == 2 {
                tiles::load::<1>(c(0, 1).cast(), stride);
            }
            if R == 2 {
                tiles::load::<2>(c(1, 0).cast(), stride);
            }
            if R == 2 && V == 2 {
                tiles::load::<3>(c(1, 1).cast(), stride);
            }
        }
        let (mut a, mut b) = (tile.a, tile.b);
        for _ in 0..tile.words / ROW_WORDS {
            tiles::load::<6>(b, 4 * tile.b_width);
            tiles::load::<4>(a, 4 * ROW_WORDS);
            tiles::multiply_add::<0, 4, 6>();
            if V == 2 {
                tiles::load::<7>(b.add(LANES), 4 * tile.b_width);
                tiles::multiply_add::<1, 4, 7>();
            }
            if R == 2 {
                tiles::load::<5>(a.add(upper * ROW_WORDS), 4 * ROW_WORDS);
                tiles::multiply_add::<2, 5, 6>();
            }
            if R == 2 && V == 2 {
                tiles::multiply_add::<3, 5, 7>();
            }
            a = a.add(ROW_WORDS * tile.a_width);
            b = b.add(ROW_WORDS * tile.b_width);
        }
        tiles::store::<0>(c(0, 0), stride);
        if V == 2 {
            tiles::store::<1>(c(0, 1), stride);
        }
        if R == 2 {
            tiles::store::<2>(c(1, 0), stride);
        }
        if R == 2 && V == 2 {
            tiles::store::<3>(c(1, 1), stride);
        }
    }
}
