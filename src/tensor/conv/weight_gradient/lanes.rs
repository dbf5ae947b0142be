//! Sums whose lanes are in memory: those of the bias gradient are added to, and at the end the lanes of all
//! sums are added.

use pulp::{Simd, WithSimd};

use crate::blocks::{Block, Machine};
use crate::simd::dispatch;

/// Adds vectors to one of sums.
pub fn add_lanes(values: &[f32], sums: &mut [f32]) {
    struct Add<'a>(&'a [f32], &'a mut [f32]);
    impl WithSimd for Add<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let (values, sum) = (S::as_simd_f32s(self.0).0, &mut S::as_mut_simd_f32s(self.1).0[0]);
            // Four chains: one addition takes four cycles.
            let mut chains = [*sum, simd.splat_f32s(0.0), simd.splat_f32s(0.0), simd.splat_f32s(0.0)];
            let (fours, rest) = values.as_chunks::<4>();
            for four in fours {
                for (chain, value) in chains.iter_mut().zip(four) {
                    *chain = simd.add_f32s(*chain, *value);
                }
            }
            for value in rest {
                chains[0] = simd.add_f32s(chains[0], *value);
            }
            let pair = simd.add_f32s(chains[0], chains[1]);
            *sum = simd.add_f32s(pair, simd.add_f32s(chains[2], chains[3]));
        }
    }
    dispatch(Add(values, sums));
}

/// Adds the samples of a block to the lanes of a sum, for `count` neighbouring positions of dy
/// `[positions, batch]`: those that are not packed as they are.
pub fn add_lines(dy: &[f32], batch: usize, count: usize, block: Block, sums: &mut [f32]) {
    struct Add<'a>(&'a [f32], usize, usize, Block, &'a mut [f32]);
    impl WithSimd for Add<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let Add(dy, batch, count, block, sums) = self;
            let sum = &mut S::as_mut_simd_f32s(sums).0[0];
            // Four chains per vector, as above.
            let mut chains = [[simd.splat_f32s(0.0); 4]; 2];
            for position in 0..count {
                let values = &dy[position * batch + block.first..][..block.samples];
                let (vectors, rest) = S::as_simd_f32s(values);
                let rest = simd.partial_load_f32s(rest);
                for (vector, chains) in vectors.iter().chain([&rest]).zip(&mut chains) {
                    chains[position % 4] = simd.add_f32s(chains[position % 4], *vector);
                }
            }
            for [a, b, c, d] in chains {
                let pairs = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
                *sum = simd.add_f32s(*sum, pairs);
            }
        }
    }
    dispatch(Add(dy, batch, count, block, sums));
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
