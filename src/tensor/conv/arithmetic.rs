//! The vector operations of the direct kernels: one source for float32 values and for pairs of bf16 values.

use pulp::{Simd, WithSimd};

#[cfg(target_arch = "x86_64")]
use super::lanes_x86;
use super::operands::Operands;
use crate::simd::dispatch;

/// The vector operations on packed words: see [`super::operands`].
pub trait Arithmetic: Copy {
    /// The values per word.
    const VALUES: usize;
    /// The words and the sums per vector.
    const LANES: usize;
    /// A vector of words.
    type Words: Copy;
    /// A vector of float32 sums.
    type Sums: Copy;

    /// The vector with `value` in each lane.
    fn splat(self, value: f32) -> Self::Sums;

    /// The vector at `at`.
    ///
    /// # Safety
    /// There is one.
    unsafe fn load(self, at: *const f32) -> Self::Words;

    /// The vector with the word at `at` in each lane.
    ///
    /// # Safety
    /// There is one.
    unsafe fn broadcast(self, at: *const f32) -> Self::Words;

    /// `sums + a b`: the products of the values of each word are added one after the other.
    fn multiply_add(self, a: Self::Words, b: Self::Words, sums: Self::Sums) -> Self::Sums;

    /// The same with only the first value of each word.
    fn multiply_add_first(self, a: Self::Words, b: Self::Words, sums: Self::Sums) -> Self::Sums;

    /// Adds the lanes of each vector of `sums` to the value of `totals` with the same index.
    fn add_lanes(self, sums: &[Self::Sums], totals: &mut [f32]);
}

/// One float32 value per word.
#[derive(Clone, Copy)]
pub struct Float32<S>(pub S);

impl<S: Simd> Arithmetic for Float32<S> {
    const VALUES: usize = 1;
    const LANES: usize = S::F32_LANES;
    type Words = S::f32s;
    type Sums = S::f32s;

    #[inline(always)]
    fn splat(self, value: f32) -> S::f32s {
        self.0.splat_f32s(value)
    }

    #[inline(always)]
    unsafe fn load(self, at: *const f32) -> S::f32s {
        // SAFETY: the caller's.
        unsafe { at.cast::<S::f32s>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn broadcast(self, at: *const f32) -> S::f32s {
        // SAFETY: the caller's.
        self.0.splat_f32s(unsafe { *at })
    }

    #[inline(always)]
    fn multiply_add(self, a: S::f32s, b: S::f32s, sums: S::f32s) -> S::f32s {
        self.0.mul_add_e_f32s(a, b, sums)
    }

    #[inline(always)]
    fn multiply_add_first(self, a: S::f32s, b: S::f32s, sums: S::f32s) -> S::f32s {
        self.multiply_add(a, b, sums)
    }

    #[inline(always)]
    fn add_lanes(self, sums: &[S::f32s], totals: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        match S::F32_LANES {
            // SAFETY: of the instructions that `dispatch` chooses from, only AVX-512 has vectors of 16 lanes.
            lanes_x86::LANES => return unsafe { lanes_x86::add(bytemuck::cast_slice(sums), totals) },
            // SAFETY: as above, only AVX2 has vectors of 8 lanes.
            lanes_x86::LANES_AVX2 => {
                return unsafe { lanes_x86::add_avx2(bytemuck::cast_slice(sums), totals) };
            }
            _ => (),
        }
        for (sum, total) in sums.iter().zip(totals) {
            *total += self.0.reduce_sum_f32s(*sum);
        }
    }
}

/// A kernel for any arithmetic. Its `run` and everything that it calls must be `#[inline(always)]`, so that
/// it is compiled for the instructions of the arithmetic.
pub trait Kernel {
    /// Computes.
    fn run<A: Arithmetic>(self, arithmetic: A);
}

/// Runs `kernel` on operands that are packed as `operands`.
pub fn run(operands: Operands, kernel: impl Kernel) {
    struct WithFloat32<K>(K);
    impl<K: Kernel> WithSimd for WithFloat32<K> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            self.0.run(Float32(simd));
        }
    }
    match operands {
        Operands::Float32 | Operands::Rounded => dispatch(WithFloat32(kernel)),
        Operands::Pairs(instructions) => instructions.run(kernel),
    }
}

/// Writes the first `samples` values of some vectors.
///
/// # Safety
/// There is space for them at `to`, which no other code accesses. `T` consists of float32 values, and there
/// are at least `samples` of them.
#[inline(always)]
pub unsafe fn store<T: Copy, const V: usize>(vectors: [T; V], to: *mut f32, samples: usize) {
    let lanes = size_of::<T>() / size_of::<f32>();
    // SAFETY: the caller guarantees values and space.
    unsafe {
        if samples == V * lanes {
            // Whole vectors stay in registers.
            (0..V).for_each(|v| to.add(v * lanes).cast::<T>().write_unaligned(vectors[v]));
        } else {
            to.copy_from_nonoverlapping(vectors.as_ptr().cast::<f32>(), samples);
        }
    }
}
