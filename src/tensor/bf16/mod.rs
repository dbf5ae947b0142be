//! bfloat16 (bf16): the upper half of a float32, with its range and 8 significant bits.
//!
//! This module defines what a product of bf16 values is, once for all kernels:
//!
//! 1. Both operands are rounded to bf16 ([`round`]): to nearest, ties to even. Subnormal numbers become zero
//!    of the same sign, and a NaN stays one.
//! 2. Products are added to a float32 sum one after another, in the order of k, each with one rounding
//!    ([`multiply_add`]). A subnormal sum becomes zero of the same sign.
//!
//! This is the arithmetic of the instructions AVX512_BF16 (`vdpbf16ps`; Intel's *Instruction Set Extensions
//! Programming Reference*), which add the upper value of each pair first. A kernel that uses them packs the
//! earlier k into the upper half. A product of two bf16 values is exact in float32, so a fused
//! float32 multiply-add on rounded operands gives the same bits: such kernels are the portable version. They
//! differ only where a sum falls below 2^-126, because they keep subnormal sums. Without vector instructions,
//! multiply-adds are not fused, and products that overflow or underflow differ too.
//!
//! AMX (`tdpbf16ps`) adds several products at a time; [`add_products`] defines its sums (docs/adr/0043).
//!
//! - `convert`: rounding of slices

mod convert;
#[cfg(test)]
mod tests;

pub use convert::{round_all, round_in_place, store, widen_all};

use crate::isa::Isa;

/// The number format of the operands of products. Sums, parameters and everything else are float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// IEEE 754 binary32.
    #[default]
    Float32,
    /// bfloat16 operands, float32 sums.
    Bf16,
}

/// The bits of the bf16 value that is nearest to `value`; of two, the even one. Subnormal numbers become
/// zero. A NaN keeps its sign and the upper bits of its payload, and becomes quiet.
///
/// ```
/// use ternflock_tensor::bf16::{round, widen};
///
/// assert_eq!(widen(round(1.0)), 1.0);
/// assert_eq!(widen(round(1.0 + 1.0 / 256.0)), 1.0); // a tie: to even
/// assert_eq!(widen(round(f32::MAX)), f32::INFINITY);
/// ```
#[inline(always)]
pub const fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = bits & SIGN;
    let rounded = if bits & EXPONENT == 0 {
        sign
    } else if bits & !SIGN > EXPONENT {
        bits | QUIET
    } else {
        // Half of the last place that stays, and one more if that place is odd. A carry may reach infinity.
        bits + 0x7fff + (bits >> 16 & 1)
    };
    (rounded >> 16) as u16
}

/// The float32 value of bf16 `bits`, exactly.
#[inline(always)]
pub const fn widen(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// `sum + a b` for values that [`round`] has produced: one rounding, and a subnormal result becomes zero.
#[inline(always)]
pub fn multiply_add(sum: f32, a: f32, b: f32) -> f32 {
    flush(a.mul_add(b, flush(sum)))
}

/// Adds the products of up to 16 pairs of values, as produced by [`round`], to `sum` in the order of AMX. Two partial
/// sums start at zero: one adds the products of the first values of the pairs, the other those of the second values.
/// Then the partial sums are added, and their total is added to `sum`. Every operation rounds once, and a subnormal
/// operand or result becomes zero.
pub fn add_products(sum: f32, pairs: impl IntoIterator<Item = ([f32; 2], [f32; 2])>) -> f32 {
    let mut sums = [0.0; 2];
    for (a, b) in pairs {
        sums = [0, 1].map(|i| multiply_add(sums[i], a[i], b[i]));
    }
    flush(flush(sum) + flush(sums[0] + sums[1]))
}

/// `value`, or zero of the same sign if it is subnormal.
#[inline(always)]
pub fn flush(value: f32) -> f32 {
    if value.is_subnormal() { f32::from_bits(value.to_bits() & SIGN) } else { value }
}

/// Whether kernels may use the instructions AVX512_BF16: this machine has them, and the process was not told to
/// do without ([`crate::set_isa`]).
pub fn has_avx512_bf16() -> bool {
    Isa::in_use().has_avx512_bf16()
}

/// Whether the instruction set in use has AMX_TILE and AMX_BF16.
pub fn has_amx_bf16() -> bool {
    Isa::in_use().has_amx_bf16()
}

const SIGN: u32 = 0x8000_0000;
const EXPONENT: u32 = 0x7f80_0000;
/// The bit that makes a NaN quiet.
const QUIET: u32 = 0x0040_0000;
