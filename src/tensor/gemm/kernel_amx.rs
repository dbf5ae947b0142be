//! The bf16 micro-kernel with AMX tiles: 2 x 1 or 1 x 2 tiles of sums at a time. The rows of `a` are in two tiles; the
//! second may have one row fewer. The time of a tile product grows with its number of rows.
//!
//! A tile product adds the products of 32 values of k to each sum, as [`crate::bf16::add_products`] defines it.
//!
//! 2 x 2 tiles of sums would need fewer loads, but all eight tiles. On the machine that we measured, products sometimes
//! take four times as long if eight tiles are in use, and twice as long if four tiles are (docs/adr/0043).

use super::lines::ROW_WORDS;
use super::tile::Tile;
use crate::blocks::prefetch_to_l2;
use crate::simd::const_dispatch;
use crate::tiles::{self, Amx, Layout};

/// The number of sums in a row of a tile.
const LANES: usize = tiles::WORDS;

/// The size of a word or a sum in bytes.
const BYTES: usize = size_of::<u32>();

/// Runs `work` with tiles for `rows` rows.
pub fn with_rows(rows: usize, work: impl FnOnce()) {
    let upper = rows.div_ceil(2);
    let lower = (rows - upper).max(1);
    let [upper, lower, b] = [(upper, tiles::WORDS), (lower, tiles::WORDS), (tiles::ROWS, tiles::WORDS)];
    let amx = Amx::detect();
    let amx = amx.unwrap_or_else(|| unreachable!("only machines with AMX use tiles"));
    Layout::new([upper, upper, upper, lower, lower, lower, b, b]).with(amx, work);
}

/// Computes a tile of `rows` rows and `vectors` vectors.
///
/// # Safety
/// See [`Tile`]. The call must be inside [`with_rows`].
pub unsafe fn compute(tile: &Tile, rows: usize, vectors: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if tile.beta != 0.0 && tile.beta != 1.0 {
            scale(tile, rows, vectors);
        }
        let upper = rows.div_ceil(2);
        if tile.a_stays {
            for vector in 0..vectors {
                match rows {
                    1 => column::<1, 2>(tile, upper, vector),
                    _ if rows.is_multiple_of(2) => column::<2, 2>(tile, upper, vector),
                    _ => column::<2, 5>(tile, upper, vector),
                }
            }
        } else {
            for first in [0, upper].into_iter().take(rows) {
                const_dispatch!(V = vectors, in [1, 2];
                if first == 0 || rows.is_multiple_of(2) {
                    row::<V, 0, 1, 2>(tile, first)
                } else {
                    row::<V, 3, 4, 5>(tile, first)
                });
            }
        }
    }
}

/// `c = beta c`.
///
/// # Safety
/// See [`Tile`].
unsafe fn scale(tile: &Tile, rows: usize, vectors: usize) {
    for row in 0..rows as isize {
        // SAFETY: this is a row of `c`, which only the caller accesses.
        let row =
            unsafe { std::slice::from_raw_parts_mut(tile.c.offset(row * tile.row_stride), vectors * LANES) };
        row.iter_mut().for_each(|sum| *sum *= tile.beta);
    }
}

/// Computes one tile of columns and R tiles of rows. The lower rows of `a` are loaded to tile A, which is also the tile
/// of the upper rows if both have the same shape.
///
/// # Safety
/// See [`compute`].
unsafe fn column<const R: usize, const A: usize>(tile: &Tile, upper: usize, vector: usize) {
    let c = [0, upper].map(|row| sums(tile, row, vector));
    // SAFETY: the caller guarantees R tiles of sums at `c`, and for every 16 words the rows of these tiles at `a` and
    // 16 rows of the vector at `b`.
    unsafe {
        begin::<0>(tile, c[0]);
        if R == 2 {
            begin::<3>(tile, c[1]);
        }
        let (mut a, mut b) = (tile.a, tile.b.add(vector * LANES));
        for _ in 0..tile.words / ROW_WORDS {
            tile.next_b.inspect(|&next| fetch(b.wrapping_offset(next), tile.b_width));
            tiles::load::<6>(b, BYTES * tile.b_width);
            tiles::load::<2>(a, BYTES * ROW_WORDS);
            tiles::multiply_add::<0, 2, 6>();
            if R == 2 {
                tiles::load::<A>(a.add(upper * ROW_WORDS), BYTES * ROW_WORDS);
                tiles::multiply_add::<3, A, 6>();
            }
            a = a.add(ROW_WORDS * tile.a_width);
            b = b.add(ROW_WORDS * tile.b_width);
        }
        end::<0>(tile, c[0]);
        if R == 2 {
            end::<3>(tile, c[1]);
        }
    }
}

/// Computes one tile of rows, loaded to tile A, and V tiles of columns.
///
/// # Safety
/// See [`compute`].
unsafe fn row<const V: usize, const C: usize, const D: usize, const A: usize>(tile: &Tile, first: usize) {
    let c = [0, 1].map(|vector| sums(tile, first, vector));
    // SAFETY: the caller guarantees V tiles of sums at `c`, and for every 16 words the rows of a tile at `a` and 16
    // rows of V vectors at `b`.
    unsafe {
        begin::<C>(tile, c[0]);
        if V == 2 {
            begin::<D>(tile, c[1]);
        }
        let (mut a, mut b) = (tile.a.add(first * ROW_WORDS), tile.b);
        for _ in 0..tile.words / ROW_WORDS {
            tiles::load::<A>(a, BYTES * ROW_WORDS);
            tiles::load::<6>(b, BYTES * tile.b_width);
            tiles::multiply_add::<C, A, 6>();
            if V == 2 {
                tiles::load::<6>(b.add(LANES), BYTES * tile.b_width);
                tiles::multiply_add::<D, A, 6>();
            }
            a = a.add(ROW_WORDS * tile.a_width);
            b = b.add(ROW_WORDS * tile.b_width);
        }
        end::<C>(tile, c[0]);
        if V == 2 {
            end::<D>(tile, c[1]);
        }
    }
}

/// Prefetches a tile of `b` to the L2 cache. The address may be invalid.
#[inline(always)]
fn fetch(b: *const u32, width: usize) {
    for row in 0..tiles::ROWS {
        prefetch_to_l2(b.wrapping_add(row * width).cast());
    }
}

/// The address of the sums of a vector, from `row` on.
fn sums(tile: &Tile, row: usize, vector: usize) -> *mut f32 {
    tile.c.wrapping_offset(row as isize * tile.row_stride).wrapping_add(vector * LANES)
}

/// Loads the sums of a tile, or zeros.
///
/// # Safety
/// See [`compute`].
#[inline(always)]
unsafe fn begin<const C: usize>(tile: &Tile, c: *const f32) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if tile.beta == 0.0 {
            tiles::zero::<C>();
        } else {
            tiles::load::<C>(c.cast(), row_bytes(tile));
        }
    }
}

/// The bytes from one row of `c` to the next, which may be negative.
#[inline(always)]
fn row_bytes(tile: &Tile) -> usize {
    tile.row_stride.wrapping_mul(BYTES as isize) as usize
}

/// Stores the sums of a tile.
///
/// # Safety
/// See [`compute`].
#[inline(always)]
unsafe fn end<const C: usize>(tile: &Tile, c: *mut f32) {
    // SAFETY: guaranteed by the caller.
    unsafe { tiles::store::<C>(c, row_bytes(tile)) };
}
