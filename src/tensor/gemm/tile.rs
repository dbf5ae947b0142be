//! A tile of `c`: the sums that a micro-kernel keeps in registers.

use super::arithmetic::{Arithmetic, MOST_ROWS, VECTORS};

/// A tile of M rows and V vectors, whose sums are continued over some words of a panel of each operand:
/// `c = beta c`, and then `c += a b` in the order of k.
///
/// `a` points to `words` times `a_width` words, of which M lines are read. `b` points to `words` times `b_width` words,
/// of which V vectors are read. `c` points to M rows of V vectors, which no other code accesses.
pub struct Tile {
    /// Words along k.
    pub words: usize,
    /// `[words, a_width]` in the order of [`Arithmetic::rows`].
    pub a: *const u32,
    /// At least M.
    pub a_width: usize,
    /// `[words, b_width]`.
    pub b: *const u32,
    /// At least V vectors.
    pub b_width: usize,
    /// With 0 the old content of `c` is not read.
    pub beta: f32,
    /// Whether the next tile uses the same `a`, which stays in the L1 cache; otherwise, it uses the same `b`.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only AMX reads it"))]
    pub a_stays: bool,
    /// The distance in words from `b` to the next `b`, if the kernel should prefetch it because it is not in the L2
    /// cache. The float32 kernel does this, and the AMX kernel if `a_stays`.
    pub next_b: Option<isize>,
    /// The first sum.
    pub c: *mut f32,
    /// From one row of `c` to the next.
    pub row_stride: isize,
}

impl Tile {
    /// Computes `rows` x `columns` sums, of which those of one row are `column_stride` apart in `c`.
    ///
    /// # Safety
    /// As for [`Tile`], with `rows` times `columns` sums at `c`. This machine must support `arithmetic`, and the call
    /// must be inside [`Arithmetic::with_rows`].
    pub unsafe fn compute(self, arithmetic: Arithmetic, rows: usize, columns: usize, column_stride: isize) {
        let lanes = arithmetic.lanes();
        let vectors = columns.div_ceil(lanes);
        if column_stride == 1 && columns == vectors * lanes {
            // SAFETY: guaranteed by the caller.
            return unsafe { arithmetic.compute(&self, rows, vectors) };
        }
        // A copy with full vectors.
        let mut sums = [0.0; MOST_ROWS * VECTORS * MOST_LANES];
        let width = vectors * lanes;
        let copy = Tile { c: sums.as_mut_ptr(), row_stride: width as isize, ..self };
        // SAFETY: `rows` rows of as many vectors are in the copy, and of as many columns in `c`.
        unsafe {
            if self.beta != 0.0 {
                copy_sums(
                    [rows, columns],
                    self.c,
                    [self.row_stride, column_stride],
                    copy.c,
                    [copy.row_stride, 1],
                );
            }
            arithmetic.compute(&copy, rows, vectors);
            copy_sums(
                [rows, columns],
                copy.c,
                [copy.row_stride, 1],
                self.c,
                [self.row_stride, column_stride],
            );
        }
    }
}

/// Copies `[rows, columns]` values between places with such strides.
///
/// # Safety
/// They exist, and no other code accesses them.
unsafe fn copy_sums(
    [rows, columns]: [usize; 2],
    from: *const f32,
    from_strides: [isize; 2],
    to: *mut f32,
    to_strides: [isize; 2],
) {
    for row in 0..rows as isize {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let (from, to) = (from.offset(row * from_strides[0]), to.offset(row * to_strides[0]));
            if from_strides[1] == 1 && to_strides[1] == 1 {
                std::ptr::copy_nonoverlapping(from, to, columns);
            } else {
                for column in 0..columns as isize {
                    *to.offset(column * to_strides[1]) = *from.offset(column * from_strides[1]);
                }
            }
        }
    }
}

/// The most lanes of any machine.
const MOST_LANES: usize = 16;
