//! The direct kernels' operations on pairs of bf16 values with the instructions AVX512_BF16, for which `pulp`
//! has neither vectors nor operations (docs/adr/0032).

#[cfg(not(target_arch = "x86_64"))]
pub use elsewhere::Avx512Bf16;
#[cfg(target_arch = "x86_64")]
pub use x86_64::Avx512Bf16;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::*;
    use std::mem::transmute;

    use crate::bf16::has_avx512_bf16;
    use crate::blocks::Machine;
    use crate::conv::arithmetic::{Arithmetic, Kernel};
    use crate::conv::lanes_x86;
    use crate::conv::pack::Lines;
    use crate::conv::pack_pairs::{Half, each_pair};

    /// Lanes of float32.
    const LANES: usize = 16;

    /// The proof that the processor has the instructions: only [`Avx512Bf16::detect`] makes one.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Avx512Bf16(());

    impl Avx512Bf16 {
        /// Asks the processor, and whether `pulp` uses AVX-512: both kinds of kernels share their blocks.
        pub fn detect() -> Option<Avx512Bf16> {
            (has_avx512_bf16() && Machine::this().lanes == LANES).then_some(Avx512Bf16(()))
        }

        /// Runs a kernel.
        pub fn run(self, kernel: impl Kernel) {
            // SAFETY: the processor has the instructions.
            unsafe { run(kernel) }
        }

        /// Packs pairs of lines: see [`crate::conv::pack_pairs`].
        pub fn pack(self, lines: &Lines, vectors: usize, first: Half, second: Half, packed: &mut [f32]) {
            // SAFETY: the processor has the instructions.
            unsafe { pack(lines, vectors, first, second, packed) }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512bf16,avx2,fma")]
    fn run(kernel: impl Kernel) {
        kernel.run(Pairs(()));
    }

    /// Exists only inside [`run`].
    #[derive(Clone, Copy)]
    struct Pairs(());

    impl Arithmetic for Pairs {
        const VALUES: usize = 2;
        const LANES: usize = LANES;
        type Words = __m512i;
        type Sums = __m512;

        #[inline(always)]
        fn splat(self, value: f32) -> __m512 {
            // SAFETY: `run` was allowed to run.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(self, at: *const f32) -> __m512i {
            // SAFETY: as above; the caller guarantees the words.
            unsafe { _mm512_loadu_si512(at.cast()) }
        }

        #[inline(always)]
        unsafe fn broadcast(self, at: *const f32) -> __m512i {
            // SAFETY: as above; the caller guarantees the word.
            unsafe { _mm512_set1_epi32(at.cast::<i32>().read()) }
        }

        #[inline(always)]
        fn multiply_add(self, a: __m512i, b: __m512i, sums: __m512) -> __m512 {
            // SAFETY: as above; the types differ only in name.
            unsafe {
                _mm512_dpbf16_ps(sums, transmute::<__m512i, __m512bh>(a), transmute::<__m512i, __m512bh>(b))
            }
        }

        #[inline(always)]
        fn multiply_add_first(self, a: __m512i, b: __m512i, sums: __m512) -> __m512 {
            // SAFETY: as above.
            unsafe {
                // The upper half of a float32 is a bf16 value.
                let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
                let [a, b] = [a, b].map(|words| _mm512_castsi512_ps(_mm512_and_si512(words, upper)));
                _mm512_fmadd_ps(a, b, sums)
            }
        }

        #[inline(always)]
        fn add_lanes(self, sums: &[__m512], totals: &mut [f32]) {
            // SAFETY: as above; a vector consists of as many values.
            unsafe { lanes_x86::add(&*(std::ptr::from_ref(sums) as *const [[f32; LANES]]), totals) }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn pack(lines: &Lines, vectors: usize, first: Half, second: Half, packed: &mut [f32]) {
        // The converted pair has the lanes of `second` below those of `first`.
        let interleave: [u16; 32] =
            std::array::from_fn(|at| (at / 2 + if at.is_multiple_of(2) { 0 } else { LANES }) as u16);
        // SAFETY: a vector and an array of the same size.
        let interleave = unsafe { transmute::<[u16; 32], __m512i>(interleave) };
        let mask = |half: &Half, vector: usize| {
            let samples = half.samples.saturating_sub(vector * LANES).min(LANES);
            ((1u32 << samples) - 1) as __mmask16
        };
        let masks = [0, 1].map(|vector| (mask(&first, vector), mask(&second, vector)));
        each_pair(
            lines,
            vectors * LANES,
            &first,
            &second,
            packed,
            #[inline(always)]
            |first, second, to| {
                for (vector, &(first_mask, second_mask)) in masks.iter().take(vectors).enumerate() {
                    // SAFETY: as many values as the masks allow are in the images, and there is room for the
                    // words, as `each_pair` guarantees.
                    unsafe {
                        let at = |half: *const f32| half.wrapping_add(vector * LANES);
                        let first = _mm512_maskz_loadu_ps(first_mask, at(first));
                        let second = _mm512_maskz_loadu_ps(second_mask, at(second));
                        let pairs = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(first, second));
                        let words = _mm512_permutexvar_epi16(interleave, pairs);
                        _mm512_storeu_si512(to.add(vector * LANES).cast(), words);
                    }
                }
            },
        );
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use crate::conv::arithmetic::Kernel;
    use crate::conv::pack::Lines;
    use crate::conv::pack_pairs::Half;

    /// No other architecture has the instructions: there is no value of this type.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub enum Avx512Bf16 {}

    impl Avx512Bf16 {
        /// `None`.
        pub fn detect() -> Option<Avx512Bf16> {
            None
        }

        /// Is never called.
        pub fn run(self, _: impl Kernel) {
            match self {}
        }

        /// Is never called.
        pub fn pack(self, _: &Lines, _: usize, _: Half, _: Half, _: &mut [f32]) {
            match self {}
        }
    }
}
