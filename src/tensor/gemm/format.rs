//! The content of packed words.

use crate::bf16::{round, widen};

/// The content of the words.
pub trait Format {
    /// Values of k per word.
    const DEPTH: usize;
    /// The word of one value, or of two that are neighbours along k.
    fn word(earlier: f32, later: f32) -> u32;
}

/// float32 values.
pub struct Float32;
impl Format for Float32 {
    const DEPTH: usize = 1;
    #[inline(always)]
    fn word(value: f32, _: f32) -> u32 {
        value.to_bits()
    }
}

/// Values rounded to bf16, as float32.
pub struct RoundedBf16;
impl Format for RoundedBf16 {
    const DEPTH: usize = 1;
    #[inline(always)]
    fn word(value: f32, _: f32) -> u32 {
        widen(round(value)).to_bits()
    }
}

/// Two bf16 values. `vdpbf16ps` adds the product of the upper halves first.
pub struct PairedBf16;
impl Format for PairedBf16 {
    const DEPTH: usize = 2;
    #[inline(always)]
    fn word(earlier: f32, later: f32) -> u32 {
        u32::from(round(earlier)) << 16 | u32::from(round(later))
    }
}
