//! The inner loops that touch every element: sums, encode, decode and the addition of planes.
//!
//! Each instruction set has a file with all four. All sets give the same bits on all input and differ only in time. The
//! choice is made once, for the processor that the program runs on. Tests compare every set with the portable loops.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod draws;
mod portable;
#[cfg(target_arch = "x86_64")]
mod prefetch;
mod rounding;

use std::sync::LazyLock;

pub use rounding::Rounding;

use crate::coding::{self, Coder};
use crate::planes::{self, TERNARY, WORD};

/// The number of running sums. An element belongs to the sum of its index modulo this number, and the sums
/// are added as a binary tree. The order of additions is part of the definition, so that all kernels give the
/// same bits.
pub const LANES: usize = 16;

/// The running sums for [`Moments`](crate::codec::Moments), by lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Bits of the largest magnitude; NaN is above infinity.
    pub largest: [u32; LANES],
    /// Sum of the values.
    pub sum: [f64; LANES],
    /// Sum of their squares.
    pub squares: [f64; LANES],
}

type Add = unsafe fn(&[u64], usize, &[u64], usize, &mut [u64], usize);

/// The kernels of an instruction set that this machine supports.
pub struct Kernels {
    isa: &'static str,
    sums: unsafe fn(&[f32]) -> Sums,
    encode: unsafe fn(&[f32], f32, f32, Rounding, usize, &mut [u64]),
    decode: unsafe fn(&[u64], usize, usize, f32, &mut [f32]),
    add: Add,
    coder: &'static Coder,
}

const PORTABLE: Kernels = Kernels {
    isa: "portable",
    sums: portable::sums,
    encode: portable::encode,
    decode: portable::decode,
    add: portable::add,
    coder: &coding::PORTABLE,
};

/// The kernels this machine can run, the fastest last.
static AVAILABLE: LazyLock<Vec<Kernels>> = LazyLock::new(|| {
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut))]
    let mut available = vec![PORTABLE];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        available.push(Kernels {
            isa: "avx2",
            sums: avx2::sums,
            encode: avx2::encode,
            decode: avx2::decode,
            add: avx2::add,
            coder: &coding::AVX2,
        });
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
    {
        available.push(Kernels {
            isa: "avx512",
            sums: avx512::sums,
            encode: avx512::encode,
            decode: avx512::decode,
            add: avx512::add,
            coder: &coding::AVX512,
        });
    }
    available
});

/// All kernels this machine can run, the fastest last.
pub fn available() -> &'static [Kernels] {
    &AVAILABLE
}

/// The fastest kernels of this machine.
pub fn best() -> &'static Kernels {
    AVAILABLE.last().unwrap_or(&PORTABLE)
}

// SAFETY of all calls below: a set is in `AVAILABLE` only if the machine has its instructions, and there is no other way
// to get one. Lengths are checked here, once for all sets.
impl Kernels {
    /// The instruction set: "portable", "avx2", "avx512".
    pub fn isa(&self) -> &'static str {
        self.isa
    }

    /// The loops of the entropy coder.
    pub(crate) fn coder(&self) -> &'static Coder {
        self.coder
    }

    /// The sums that the moments of a tensor are computed from.
    pub fn sums(&self, values: &[f32]) -> Sums {
        // SAFETY: see above.
        unsafe { (self.sums)(values) }
    }

    /// [`codec::encode`](crate::codec::encode) with these kernels.
    pub fn encode(
        &self,
        values: &[f32],
        clip: f32,
        scale: f32,
        rounding: Rounding,
        first_word: usize,
        planes: &mut [u64],
    ) {
        check(planes.len(), TERNARY, first_word, values.len());
        // SAFETY: see above.
        unsafe { (self.encode)(values, clip, scale, rounding, first_word, planes) }
    }

    /// [`codec::decode`](crate::codec::decode) with these kernels.
    pub fn decode(&self, planes: &[u64], width: usize, first_word: usize, factor: f32, values: &mut [f32]) {
        check(planes.len(), width, first_word, values.len());
        // SAFETY: see above.
        unsafe { (self.decode)(planes, width, first_word, factor, values) }
    }

    /// Adds element by element: `sum = a + b`. The three payloads have the same number of blocks, each at its own width.
    ///
    /// The sum must fit: `a` over `j` ranks and `b` over `k` need a `sum_width` of at least [`planes::width`]`(j + k)`.
    ///
    /// # Panics
    /// If the slices do not hold the same number of complete blocks.
    pub fn add(
        &self,
        a: &[u64],
        a_width: usize,
        b: &[u64],
        b_width: usize,
        sum: &mut [u64],
        sum_width: usize,
    ) {
        let blocks = sum.len() / planes::words(1, sum_width);
        assert_eq!(sum.len(), planes::words(blocks, sum_width), "the sum is not a whole number of blocks");
        assert_eq!(
            a.len(),
            planes::words(blocks, a_width),
            "the first payload has other blocks than the sum"
        );
        assert_eq!(
            b.len(),
            planes::words(blocks, b_width),
            "the second payload has other blocks than the sum"
        );
        // SAFETY: see above.
        unsafe { (self.add)(a, a_width, b, b_width, sum, sum_width) }
    }
}

/// Panics if a payload of `length` words at `width` does not hold `values` values from `first_word` on.
fn check(length: usize, width: usize, first_word: usize, values: usize) {
    let needed = first_word + values.div_ceil(WORD);
    assert!(
        planes::words(needed.div_ceil(planes::WORDS), width) <= length,
        "the payload ends before the values do"
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::planes::tests::lay;
    use crate::planes::{BLOCK, get, width, words};

    proptest! {
        #[test]
        fn a_sum_of_planes_is_the_planes_of_the_sum(
            j in 1..40_i32, k in 1..40_i32, blocks in 0..4_usize, seed in any::<u64>(),
        ) {
            let draw = |salt: u64, ranks: i32| -> Vec<i32> {
                let mut state = seed ^ salt;
                (0..blocks * BLOCK).map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 33) as i32 % (2 * ranks + 1) - ranks
                }).collect()
            };
            let (a, b) = (draw(1, j), draw(2, k));
            let (a_width, b_width) = (width(j as usize), width(k as usize));
            let sum_width = width((j + k) as usize);
            let mut sum = vec![u64::MAX; words(blocks, sum_width)];
            best().add(&lay(&a, a_width), a_width, &lay(&b, b_width), b_width, &mut sum, sum_width);
            let expected: Vec<i32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
            prop_assert_eq!(&sum, &lay(&expected, sum_width));
            for (element, value) in expected.iter().enumerate() {
                prop_assert_eq!(get(&sum, sum_width, element), *value);
            }
        }
    }

    #[test]
    fn the_extremes_of_every_width_add_without_overflow() {
        for ranks in 1..70 {
            for sign in [-1, 1] {
                let all = vec![sign * ranks; BLOCK];
                let (narrow, wide) = (width(ranks as usize), width(2 * ranks as usize));
                let mut sum = vec![0; words(1, wide)];
                best().add(&lay(&all, narrow), narrow, &lay(&all, narrow), narrow, &mut sum, wide);
                assert_eq!(get(&sum, wide, 17), 2 * sign * ranks);
            }
        }
    }
}
