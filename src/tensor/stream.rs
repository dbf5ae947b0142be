//! Passes over vectors that are too long for the caches.

use crate::blocks::{LINE, prefetch, prefetch_to_l2};

/// The elements of a block: eight cache lines.
pub const BLOCK: usize = 128;

/// The distance in elements from a block to the one that is prefetched during its computation: a page. The processor
/// itself does not prefetch across the end of a page.
const AHEAD: usize = 1024;

/// Prefetches the block that follows `block` at a distance of a page. A pass calls this for every block of [`BLOCK`]
/// elements of each vector before it computes the block.
#[inline(always)]
pub fn prefetch_after(block: &[f32]) {
    for line in (0..block.len()).step_by(LINE) {
        prefetch(block.as_ptr().wrapping_add(AHEAD + line));
    }
}

/// Prefetches to the L2 cache what follows `block` at a distance of `ahead` elements, which may be past the end of the
/// vector: for a pass that reads rows several times, the same block of the next row.
#[inline(always)]
pub fn prefetch_row_after(block: &[f32], ahead: usize) {
    for line in (0..block.len()).step_by(LINE) {
        prefetch_to_l2(block.as_ptr().wrapping_add(ahead + line));
    }
}

/// Whether any bit of `values` is set; a negative zero has its sign bit set. There is no early exit, so that the compiler
/// vectorises the loop.
#[inline(always)]
pub fn has_bits(values: &[f32]) -> bool {
    values.iter().fold(0, |bits, value| bits | value.to_bits()) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_except_zero_has_bits() {
        for count in [0, 1, 31, 32, 100] {
            let mut values = vec![0.0; count];
            assert!(!has_bits(&values));
            for at in 0..count {
                for number in [-0.0, f32::from_bits(1), 1.0, f32::INFINITY, f32::NAN] {
                    values[at] = number;
                    assert!(has_bits(&values), "{number} at {at} of {count}");
                }
                values[at] = 0.0;
            }
        }
    }
}
