//! Rows of `c` that are computed in a buffer and then written as entire rows.
//!
//! A kernel writes tiles of a few short rows. If `c` exceeds the caches, the processor reads each of these cache lines
//! from memory before it writes the line, and waits for the read. With AMX tiles, this took more than half the time of
//! the gradient of a large weight. This module writes entire rows with non-temporal stores, which bypass the caches.

use super::arithmetic::{Arithmetic, MOST_ROWS};
use crate::blocks::LINE;

/// The minimum number of elements of a `c` for which strips pay off: it fills the L2 cache.
const LEAST: usize = 512 * 1024;

/// The maximum number of columns of a strip, so that it stays in the L2 cache.
pub const MOST_COLUMNS: usize = 1024;

/// The length of a strip of `columns` columns of a new `c` `[m, n]`; 0 if sums are computed directly in `c`.
pub fn length(arithmetic: Arithmetic, [m, n]: [usize; 2], columns: usize) -> usize {
    let is_large = m.saturating_mul(n) >= LEAST && columns <= MOST_COLUMNS;
    if is_large && arithmetic.lanes() == LINE { MOST_ROWS * stride(columns) } else { 0 }
}

/// The distance from one row of a strip to the next: one cache line more than needed, so that rows do not compete for
/// the same cache sets.
pub fn stride(columns: usize) -> usize {
    columns + LINE
}

/// Writes the first `columns` values of each of the first `rows` rows of a strip to `c`, whose rows are `row_stride`
/// apart.
///
/// # Safety
/// `c` has these elements, and no other code accesses them. The machine has AVX-512.
pub unsafe fn write(
    strip: &[f32],
    stride: usize,
    [rows, columns]: [usize; 2],
    c: *mut f32,
    row_stride: isize,
) {
    for (row, values) in strip.chunks_exact(stride).take(rows).enumerate() {
        // SAFETY: this is a row of `c`.
        unsafe { write_row(&values[..columns], c.offset(row as isize * row_stride)) };
    }
    // A thread that sees later writes of this thread must also see these rows.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction.
    unsafe {
        std::arch::x86_64::_mm_sfence()
    };
}

/// Writes `values` to `c`.
///
/// # Safety
/// See [`write()`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn write_row(values: &[f32], c: *mut f32) {
    use std::arch::x86_64::{_mm512_loadu_ps, _mm512_stream_ps};
    let head = c.align_offset(LINE * size_of::<f32>()).min(values.len());
    let (head, rest) = values.split_at(head);
    let (lines, tail) = rest.as_chunks::<LINE>();
    // SAFETY: `c` has room for all values, and each line begins at a cache line boundary.
    unsafe {
        c.copy_from_nonoverlapping(head.as_ptr(), head.len());
        let mut to = c.add(head.len());
        for line in lines {
            _mm512_stream_ps(to, _mm512_loadu_ps(line.as_ptr()));
            to = to.add(LINE);
        }
        to.copy_from_nonoverlapping(tail.as_ptr(), tail.len());
    }
}

/// Writes `values` to `c`.
///
/// # Safety
/// See [`write()`].
#[cfg(not(target_arch = "x86_64"))]
unsafe fn write_row(values: &[f32], c: *mut f32) {
    // SAFETY: guaranteed by the caller.
    unsafe { c.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
}
