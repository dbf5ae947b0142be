//! The micro-kernel in float32, with the vectors of the machine: M x 2 sums in registers, M up to 6 of 16
//! registers or 14 of 32.

use pulp::{Simd, WithSimd};

use super::tile::Tile;
use crate::blocks::prefetch_to_l2;
use crate::simd::{const_dispatch, dispatch};

/// Computes a tile of `rows` rows and `vectors` vectors.
///
/// # Safety
/// See [`Tile`].
pub unsafe fn compute(tile: &Tile, rows: usize, vectors: usize) {
    const_dispatch!(V = vectors, in [1, 2];
        M = rows, in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
        dispatch(Kernel::<M, V>(tile)));
}

struct Kernel<'a, const M: usize, const V: usize>(&'a Tile);

impl<const M: usize, const V: usize> WithSimd for Kernel<'_, M, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tile = self.0;
        let place = |m: usize, v: usize| {
            // SAFETY: a vector of `c`.
            unsafe { tile.c.offset(m as isize * tile.row_stride).add(v * S::F32_LANES).cast::<S::f32s>() }
        };
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        if tile.beta != 0.0 {
            let beta = simd.splat_f32s(tile.beta);
            for (m, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: as above.
                    *sum = simd.mul_f32s(beta, unsafe { place(m, v).read_unaligned() });
                }
            }
        }
        let (mut a, mut b) = (tile.a.cast::<f32>(), tile.b.cast::<f32>());
        let mut next = tile.next_b.map(|distance| b.wrapping_offset(distance));
        for _ in 0..tile.words {
            if let Some(next) = &mut next {
                (0..V).for_each(|v| prefetch_to_l2(next.wrapping_add(v * S::F32_LANES)));
                *next = next.wrapping_add(tile.b_width);
            }
            // SAFETY: `a` has M values and `b` V vectors for each word.
            unsafe {
                let vectors: [S::f32s; V] =
                    std::array::from_fn(|v| b.add(v * S::F32_LANES).cast::<S::f32s>().read_unaligned());
                for (m, sums) in sums.iter_mut().enumerate() {
                    let value = simd.splat_f32s(*a.add(m));
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = simd.mul_add_e_f32s(value, vector, *sum);
                    }
                }
                a = a.add(tile.a_width);
                b = b.add(tile.b_width);
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                // SAFETY: as above.
                unsafe { place(m, v).write_unaligned(*sum) };
            }
        }
    }
}
