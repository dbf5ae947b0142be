//! Copies the sums of tiles to the gradient of the weights: 16 weights of 16 filters at a time, transposed in
//! registers.

use std::arch::x86_64::*;

use super::TILE;
use crate::threads::{for_each_row, rows, rows_mut};
use crate::tiles::{Amx, ROWS, WORDS};
use crate::transpose_avx512::transpose;

/// Copies the sums of a group, `[tiles of filters, lines of taps, filters]` with `tap_tiles` tiles of taps, to `weight`
/// `[F, places]`. Weight k of a filter is in line `places[k]`.
pub fn unpack(_: Amx, places: &[usize], tap_tiles: usize, sums: &[f32], weight: &mut [f32]) {
    assert!(places.iter().all(|&line| line < tap_tiles * ROWS));
    for_each_row(
        (rows_mut(weight, ROWS * places.len()), rows(sums, tap_tiles * TILE)),
        |_, (weight, sums)| {
            // SAFETY: a processor with AMX has the instructions.
            unsafe { unpack_filters(places, sums.as_chunks().0, weight) };
        },
    );
}

/// Copies the sums of a tile of filters.
#[target_feature(enable = "avx512f")]
fn unpack_filters(places: &[usize], sums: &[[f32; WORDS]], weight: &mut [f32]) {
    for (square, lines) in places.chunks(ROWS).enumerate() {
        // Copies of the last weight fill the vector and are not stored.
        let rows: [_; ROWS] = std::array::from_fn(|i| &sums[lines[i.min(lines.len() - 1)]]);
        // SAFETY: a line has one value per lane of a vector, and the processor has the instructions.
        let columns = unsafe { transpose(rows.map(|line| _mm512_loadu_si512(line.as_ptr().cast()))) };
        let mask = ((1u32 << lines.len()) - 1) as __mmask16;
        for (weight, values) in weight.chunks_exact_mut(places.len()).zip(columns) {
            let to = weight[square * ROWS..][..lines.len()].as_mut_ptr();
            // SAFETY: the mask selects only existing values.
            unsafe { _mm512_mask_storeu_epi32(to.cast(), mask, values) };
        }
    }
}
