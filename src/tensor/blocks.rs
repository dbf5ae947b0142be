//! Cuts a batch into blocks of samples, and other lists into even parts, for kernels written with vectors.

use std::ops::Range;

use pulp::Simd;
use ternflock_base::split::chunk;

use super::buffers::Buffers;
use super::simd::dispatch;

/// Samples that a kernel computes in parallel: one or two vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// The first sample.
    pub first: usize,
    /// Samples in use; the rest of the vectors is padding.
    pub samples: usize,
    /// 1 or 2.
    pub vectors: usize,
}

/// The properties of a machine that kernels use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Values per vector.
    pub lanes: usize,
    /// Vector registers.
    pub registers: usize,
}

impl Machine {
    /// This machine.
    pub fn this() -> Machine {
        struct Ask;
        impl pulp::WithSimd for Ask {
            type Output = Machine;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Machine {
                Machine { lanes: S::F32_LANES, registers: S::REGISTER_COUNT }
            }
        }
        dispatch(Ask)
    }

    /// The maximum size of a packed copy in bytes, so that it stays in the L2 cache while all filters read it.
    /// Servers with AVX-512 have an L2 cache of at least 1 MB.
    pub fn l2_budget(self) -> usize {
        if self.lanes >= 16 { 512 * 1024 } else { 192 * 1024 }
    }

    /// Blocks of a batch.
    pub fn blocks(self, batch: usize) -> usize {
        batch.div_ceil(2 * self.lanes)
    }

    /// Block `index` of a batch; all except the last are full.
    pub fn block(self, batch: usize, index: usize) -> Block {
        let first = index * 2 * self.lanes;
        let samples = (batch - first).min(2 * self.lanes);
        Block { first, samples, vectors: samples.div_ceil(self.lanes) }
    }
}

/// Part `index` of `total` items that are cut into the fewest parts of at most `most` items, with sizes that
/// differ by at most one.
pub fn part(total: usize, most: usize, index: usize) -> Range<usize> {
    chunk(0..total, total.div_ceil(most), index)
}

/// All parts: see [`part`].
pub fn parts(total: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..total.div_ceil(most)).map(move |index| part(total, most, index))
}

/// The indices of the parts that have `size` things, which are neighbours: see [`part`].
pub fn parts_of_size(total: usize, most: usize, size: usize) -> Range<usize> {
    let parts = total.div_ceil(most).max(1);
    let (shorter, longer) = (total / parts, total % parts);
    match size.checked_sub(shorter) {
        Some(0) if size > 0 => longer..parts,
        Some(1) => 0..longer,
        _ => 0..0,
    }
}

/// The float32 values in a cache line.
pub const LINE: usize = 16;

/// A cache line: packed values begin at one.
#[repr(C, align(64))]
#[derive(Clone, Copy, Default)]
pub struct Line([f32; LINE]);

/// Prefetches the cache line that contains `at` to the L1 cache. The address may be invalid.
#[inline(always)]
pub fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, which ignores invalid addresses.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Prefetches the cache line that contains `at` to the L2 cache. The address may be invalid.
#[inline(always)]
pub fn prefetch_to_l2(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

// SAFETY: sixteen floats without padding, for which all zeros are valid.
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for Line {}

/// The largest number from 1 to `all` that `fits`, which must be monotonic; 1 if none fits.
pub fn most(all: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut least, mut past) = (1, all + 1);
    while past - least > 1 {
        let middle = least + (past - least) / 2;
        if fits(middle) { least = middle } else { past = middle }
    }
    least
}

/// A buffer for `elements` values.
///
/// # Errors
/// Those of [`Buffers::zeros`].
pub fn room(elements: usize, buffers: &mut Buffers) -> Result<Vec<Line>, String> {
    buffers.zeros(&[elements.div_ceil(LINE)])
}

/// A result that several threads write, each a different part.
#[derive(Clone, Copy)]
pub struct Shared(pub *mut f32);
// SAFETY: code that dereferences it must explain why no other code has the same elements.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Element `at`. This is a method, so that closures capture the entire struct.
    ///
    /// # Safety
    /// `at` is inside the slice from which this was made.
    #[inline(always)]
    pub unsafe fn at(self, at: usize) -> *mut f32 {
        // SAFETY: guaranteed by the caller.
        unsafe { self.0.add(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_most_that_fit_are_found() {
        for all in 1..20 {
            for limit in 0..25 {
                let found = (1..=all).rev().find(|&count| count <= limit).unwrap_or(1);
                assert_eq!(most(all, |count| count <= limit), found, "{limit} of {all}");
            }
        }
        assert_eq!(most(usize::MAX - 1, |count| count <= 1 << 50), 1 << 50);
    }

    proptest! {
        #[test]
        fn parts_are_even_and_blocks_cover(total in 1usize..300, most in 1usize..20) {
            let all: Vec<_> = parts(total, most).collect();
            prop_assert_eq!(all.iter().cloned().flatten().collect::<Vec<_>>(), (0..total).collect::<Vec<_>>());
            for size in 0..=most + 1 {
                let own: Vec<_> = (0..all.len()).filter(|&index| all[index].len() == size).collect();
                prop_assert_eq!(parts_of_size(total, most, size).collect::<Vec<_>>(), own);
            }
            let (small, large) = (all.iter().map(|p| p.len()).min(), all.iter().map(|p| p.len()).max());
            prop_assert!(large.unwrap() <= most && large.unwrap() - small.unwrap() <= 1);
            let machine = Machine { lanes: most, registers: 16 };
            let blocks: Vec<_> = (0..machine.blocks(total)).map(|i| machine.block(total, i)).collect();
            prop_assert_eq!(blocks.iter().map(|b| b.samples).sum::<usize>(), total);
            for block in blocks {
                prop_assert!(block.samples <= block.vectors * most && block.vectors <= 2);
            }
        }
    }
}
