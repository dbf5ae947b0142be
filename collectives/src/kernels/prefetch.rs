//! Prefetching for loops that wait for memory, to read or to write.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// The distance in bytes. The processor's own prefetching stops at each page boundary.
const AHEAD: usize = 4096;

/// Floats per cache line.
const LINE: usize = 16;

/// Prefetches the cache lines [`AHEAD`] bytes after `values`. An address without memory does no harm.
#[inline]
#[target_feature(enable = "sse")]
pub(super) fn prefetch<const N: usize>(values: &[f32; N]) {
    for line in 0..N / LINE {
        _mm_prefetch::<_MM_HINT_T0>(
            values.as_ptr().wrapping_add(line * LINE).wrapping_byte_add(AHEAD).cast(),
        );
    }
}
