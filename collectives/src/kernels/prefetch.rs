//! Reading ahead, for the loops that wait for memory, be it to read or to write.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// How far ahead in bytes: the processor's own prefetching stops at every page.
const AHEAD: usize = 1024;

/// Floats of a line of the cache.
const LINE: usize = 16;

/// Asks for the lines of the cache that will be needed [`AHEAD`] bytes after `values`. An address without memory behind
/// it does no harm.
#[inline]
#[target_feature(enable = "sse")]
pub(super) fn prefetch<const N: usize>(values: &[f32; N]) {
    for line in 0..N / LINE {
        _mm_prefetch::<_MM_HINT_T0>(
            values.as_ptr().wrapping_add(line * LINE).wrapping_byte_add(AHEAD).cast(),
        );
    }
}
