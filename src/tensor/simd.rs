//! Access to the machine's vector instructions: AVX2 with FMA, AVX-512, NEON, or none of them, chosen at run
//! time ([`super::isa`]). The program itself is built for the oldest machine of its kind (SSE2 on x86-64), so a plain loop
//! is compiled to vectors of 4. Inside [`vectorise`], the same loop is compiled once for each instruction
//! set, and the version of [`Isa::in_use`] runs.
//!
//! This helps if the compiler can vectorise the loop: it must run over contiguous slices of equal length
//! (`zip`), without branches that cannot become selects, and without sums of floats, whose order the compiler
//! must not change. Functions that it calls must be inlined: mark closures `#[inline(always)]`, and call
//! [`super::for_each_row`] outside, around it.

use pulp::WithSimd;

use super::isa::{Isa, arch};
use super::stream::{BLOCK, prefetch_after};

/// Evaluates an expression with constants instead of numbers that are known only at run time. A kernel has
/// the numbers of its accumulators as const generic parameters, so that these stay in registers; this macro
/// calls the right kernel:
///
/// ```text
/// const_dispatch!(F = filters, in [1, 2, 3, 4]; V = vectors, in [1, 2]; dispatch(Kernel::<F, V>(block)))
/// ```
///
/// The expression is compiled once for each combination of the listed values. Any other value panics.
macro_rules! const_dispatch {
    ($name:ident = $value:expr, in $constants:tt; $($rest:tt)+) => {
        $crate::simd::const_dispatch!(@arms $name, $value, $constants, ($($rest)+))
    };
    // `rest` is one token tree here, so that it can be repeated with the constants.
    (@arms $name:ident, $value:expr, [$($constant:literal),+], $rest:tt) => {
        match $value {
            $($constant => {
                const $name: usize = $constant;
                $crate::simd::const_dispatch!(@open $rest)
            })+
            other => unreachable!("no kernel for {} = {other}", stringify!($name)),
        }
    };
    (@open ($($rest:tt)+)) => {
        $crate::simd::const_dispatch!($($rest)+)
    };
    ($call:expr) => {
        $call
    };
}
pub(super) use const_dispatch;

/// Runs `work`, compiled for the vector instructions in use.
///
/// ```
/// # let (mut y, x) = (vec![0.0; 100], vec![1.0; 100]);
/// ternflock_tensor::vectorise(
///     #[inline(always)]
///     || y.iter_mut().zip(&x).for_each(|(y, x): (&mut f32, &f32)| *y = x.max(0.0)),
/// );
/// ```
#[inline(always)]
pub fn vectorise<R>(work: impl FnOnce() -> R) -> R {
    arch().dispatch(work)
}

/// Runs `work` with its vector type, for kernels written with explicit vectors.
#[inline(always)]
pub(super) fn dispatch<W: WithSimd>(work: W) -> W::Output {
    arch().dispatch(work)
}

/// The vector instructions that [`vectorise`] uses: `AVX-512`, `AVX2`, `NEON` or `none`.
pub fn vector_instructions() -> &'static str {
    match Isa::in_use() {
        Isa::Avx512 | Isa::Avx512Bf16 | Isa::AmxBf16 => "AVX-512",
        Isa::Avx2 => "AVX2",
        Isa::Neon => "NEON",
        Isa::Scalar => "none",
    }
}

/// The sum of `values`, in an order that depends only on their number: 32 parallel sums, which are then
/// added.
pub fn sum(values: &[f32]) -> f32 {
    vectorise(
        #[inline(always)]
        || {
            let (blocks, rest) = values.as_chunks::<32>();
            let mut sums = [0.0f32; 32];
            for block in blocks {
                sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
            }
            sums.iter().chain(rest).sum()
        },
    )
}

/// Whether no value is NaN or infinite. In double precision, the sum of the squares of float32 numbers cannot overflow.
pub fn all_finite(values: &[f32]) -> bool {
    dot(values, values).is_finite()
}

/// The sum of the products of `a` and `b` in double precision, in an order that depends only on their number:
/// 16 parallel sums, the k-th over every 16th product from the k-th on. Products of float32 are exact in
/// double precision, and sums of this many cannot overflow.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    vectorise(
        #[inline(always)]
        || {
            let mut sums = [0.0f64; LANES];
            for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
                prefetch_after(a);
                prefetch_after(b);
                let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
                for (a, b) in a.iter().zip(b) {
                    for lane in 0..LANES {
                        sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
                    }
                }
                for (sum, (a, b)) in sums.iter_mut().zip(a_rest.iter().zip(b_rest)) {
                    *sum += f64::from(*a) * f64::from(*b);
                }
            }
            sums.iter().sum()
        },
    )
}

/// `sums += scale * values`, element by element.
pub fn add_scaled(scale: f32, values: &[f32], sums: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += scale * value),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Integers are exact in any order.
    #[test]
    fn sums_are_sums() {
        for count in [0, 1, 31, 32, 33, 1000] {
            let values: Vec<f32> = (0..count).map(|i| (i % 7) as f32 - 3.0).collect();
            assert_eq!(sum(&values), values.iter().sum::<f32>(), "{count}");
            let squares = values.iter().map(|v| v * v).sum::<f32>();
            assert_eq!(dot(&values, &values), f64::from(squares), "{count}");
            let mut sums = values.clone();
            add_scaled(2.0, &values, &mut sums);
            assert!(sums.iter().zip(&values).all(|(sum, value)| *sum == 3.0 * value));
        }
    }
}
