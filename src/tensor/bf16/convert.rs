//! Rounding of slices to bf16.

use super::{round, widen};
use crate::simd::vectorise;

/// Overwrites `to` with `from`, each value rounded to bf16 and widened again: the operands of a portable
/// kernel.
///
/// # Panics
/// If the lengths differ.
pub fn round_all(from: &[f32], to: &mut [f32]) {
    assert_eq!(from.len(), to.len());
    vectorise(
        #[inline(always)]
        || to.iter_mut().zip(from).for_each(|(to, from)| *to = widen(round(*from))),
    );
}

/// Rounds each value to bf16 and widens it again.
pub fn round_in_place(values: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || values.iter_mut().for_each(|value| *value = widen(round(*value))),
    );
}
