//! Sums over the lanes of vectors: those of the bias gradient, and sums whose lanes are in memory.

use pulp::{Simd, WithSimd};

use crate::blocks::{Block, Machine};
use crate::simd::dispatch;

/// The sum of complete vectors.
pub fn sum_vectors(values: &[f32]) -> f32 {
    struct Sum<'a>(&'a [f32]);
    impl WithSimd for Sum<'_> {
        type Output = f32;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            // Four chains: one addition takes four cycles.
            let mut chains = [simd.splat_f32s(0.0); 4];
            let (fours, rest) = S::as_simd_f32s(self.0).0.as_chunks::<4>();
            for four in fours {
                for (chain, value) in chains.iter_mut().zip(four) {
                    *chain = simd.add_f32s(*chain, *value);
                }
            }
            for value in rest {
                chains[0] = simd.add_f32s(chains[0], *value);
            }
            let pair = simd.add_f32s(chains[0], chains[1]);
            simd.reduce_sum_f32s(simd.add_f32s(pair, simd.add_f32s(chains[2], chains[3])))
        }
    }
    dispatch(Sum(values))
}

/// The sum of the samples of a block at `count` neighbouring positions of dy `[positions, batch]`: those that are not
/// packed as they are.
pub fn sum_lines(dy: &[f32], batch: usize, count: usize, block: Block) -> f32 {
    dispatch(SumLines { dy, batch, count, block })
}

struct SumLines<'a> {
    dy: &'a [f32],
    batch: usize,
    count: usize,
    block: Block,
}

impl SumLines<'_> {
    /// Adds the samples at `position` to two vectors.
    #[inline(always)]
    fn add<S: Simd>(&self, simd: S, position: usize, sums: &mut [S::f32s; 2]) {
        let samples = &self.dy[position * self.batch + self.block.first..][..self.block.samples];
        // Loads of parts of a vector are calls, so complete blocks go without them.
        let [first, second] = match S::as_simd_f32s(samples) {
            ([first, second], []) => [*first, *second],
            ([first, ..], rest) => [*first, simd.partial_load_f32s(rest)],
            ([], rest) => [simd.partial_load_f32s(rest), simd.splat_f32s(0.0)],
        };
        sums[0] = simd.add_f32s(sums[0], first);
        sums[1] = simd.add_f32s(sums[1], second);
    }
}

impl WithSimd for SumLines<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        // Four chains per vector, as above.
        let mut chains = [[simd.splat_f32s(0.0); 2]; 4];
        let fours = self.count / 4 * 4;
        for position in (0..fours).step_by(4) {
            for (chain, sums) in chains.iter_mut().enumerate() {
                self.add(simd, position + chain, sums);
            }
        }
        for position in fours..self.count {
            self.add(simd, position, &mut chains[0]);
        }
        let mut sum = simd.splat_f32s(0.0);
        for [first, second] in chains {
            sum = simd.add_f32s(sum, simd.add_f32s(first, second));
        }
        simd.reduce_sum_f32s(sum)
    }
}

/// The sum of each vector's lanes: overwrites the beginning of `vectors` with them, and returns it.
pub fn sum_lanes(vectors: &mut [f32]) -> &[f32] {
    struct Sum<'a>(&'a mut [f32]);
    impl WithSimd for Sum<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for index in 0..self.0.len() / S::F32_LANES {
                let (vector, _) = S::as_simd_f32s(&self.0[index * S::F32_LANES..][..S::F32_LANES]);
                self.0[index] = simd.reduce_sum_f32s(vector[0]);
            }
        }
    }
    let sums = vectors.len() / Machine::this().lanes;
    dispatch(Sum(vectors));
    &vectors[..sums]
}
