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

/// Rounds each value to bf16 and widens it again; writes the bits of the rounded values to `rounded`.
///
/// # Panics
/// If the lengths differ.
pub fn store(values: &mut [f32], rounded: &mut [u16]) {
    assert_eq!(values.len(), rounded.len());
    vectorise(
        #[inline(always)]
        || {
            for (value, rounded) in values.iter_mut().zip(rounded) {
                *rounded = round(*value);
                *value = widen(*rounded);
            }
        },
    );
}

/// Overwrites `to` with the values of the bf16 bits `rounded`.
///
/// # Panics
/// If the lengths differ.
pub fn widen_all(rounded: &[u16], to: &mut [f32]) {
    assert_eq!(rounded.len(), to.len());
    vectorise(
        #[inline(always)]
        || to.iter_mut().zip(rounded).for_each(|(to, rounded)| *to = widen(*rounded)),
    );
}

/// Rounds each value to bf16 and widens it again.
pub fn round_in_place(values: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || values.iter_mut().for_each(|value| *value = widen(round(*value))),
    );
}
