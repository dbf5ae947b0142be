//! Packs dy for tiles: at each position, 16 pairs of neighbouring samples for each of 16 filters. It also adds the
//! unrounded values to the bias sums, because it reads them anyway.

use std::arch::x86_64::*;
use std::mem::transmute;
use std::ops::Range;

use super::TILE;
use super::geometry::Geometry;
use crate::blocks::Block;
use crate::conv::pass::Pass;
use crate::tiles::{Amx, ROWS, WORDS};
use crate::transpose_avx512::transpose;

/// The gradients of the outputs of one group.
pub struct Slopes<'a> {
    pub geometry: &'a Geometry,
    /// N.
    pub batch: usize,
    /// A slice that begins with `[F, P, Q, N]`.
    pub slopes: &'a [f32],
}

impl Slopes<'_> {
    /// Packs the output rows `outputs`: `[tiles of filters, positions, 16 pairs of samples, 16 filters]`. Padding
    /// filters are copies of the last filter. Adds the samples to `lanes` `[padded filters, 16]`.
    pub fn pack(
        &self,
        _: Amx,
        block: Block,
        outputs: Range<usize>,
        mut lanes: Option<&mut [f32]>,
        packed: &mut [f32],
    ) {
        let Pass { filters, row, column, .. } = self.geometry.pass;
        let (map, positions) = (row.outputs * column.outputs * self.batch, outputs.len() * column.outputs);
        let first = outputs.start * column.outputs * self.batch + block.first;
        assert!(positions > 0);
        for (tile, packed) in
            packed.chunks_exact_mut(positions * TILE).take(self.geometry.filter_tiles()).enumerate()
        {
            let from: [*const f32; ROWS] = std::array::from_fn(|f| {
                let filter = &self.slopes[(tile * ROWS + f).min(filters - 1) * map..][first..];
                assert!((positions - 1) * self.batch + block.samples <= filter.len());
                filter.as_ptr()
            });
            let lanes = lanes.as_deref_mut().map(|lanes| &mut lanes.as_chunks_mut().0[tile * ROWS..][..ROWS]);
            // SAFETY: a processor with AMX has these instructions, and the samples exist, as asserted.
            unsafe {
                match lanes {
                    Some(lanes) => pack::<true>(from, self.batch, block.samples, lanes, packed),
                    None => pack::<false>(from, self.batch, block.samples, &mut [], packed),
                }
            }
        }
    }
}

/// Packs one position per tile of `packed`. With `LANES`, adds the samples of these positions to `lanes`.
///
/// # Safety
/// `samples` values exist at each position of the lines `from`, and positions are `step` values apart.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pack<const LANES: bool>(
    from: [*const f32; ROWS],
    step: usize,
    samples: usize,
    lanes: &mut [[f32; WORDS]],
    packed: &mut [f32],
) {
    let mask = |before: usize| ((1u32 << samples.saturating_sub(before).min(WORDS)) - 1) as __mmask16;
    let masks = [mask(0), mask(WORDS)];
    for (position, packed) in packed.as_chunks_mut::<TILE>().0.iter_mut().enumerate() {
        let mut rows = [_mm512_setzero_si512(); ROWS];
        for (f, row) in rows.iter_mut().enumerate() {
            let at = from[f].wrapping_add(position * step);
            // SAFETY: the masks select only existing values.
            let [first, second] = unsafe {
                [_mm512_maskz_loadu_ps(masks[0], at), _mm512_maskz_loadu_ps(masks[1], at.wrapping_add(WORDS))]
            };
            if LANES {
                let lanes = lanes[f].as_mut_ptr();
                // SAFETY: there are 16 lanes.
                unsafe {
                    let sum = _mm512_add_ps(_mm512_loadu_ps(lanes), _mm512_add_ps(first, second));
                    _mm512_storeu_ps(lanes, sum);
                }
            }
            // SAFETY: the vectors have the same size.
            *row = unsafe { transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first)) };
        }
        // SAFETY: the processor has the instructions, and a tile exists.
        unsafe {
            for (pair, filters) in transpose(rows).into_iter().enumerate() {
                _mm512_storeu_si512(packed.as_mut_ptr().add(pair * WORDS).cast(), filters);
            }
        }
    }
}
