//! A tile of `c`: the sums that a micro-kernel keeps in registers.

use super::arithmetic::{Arithmetic, MOST_ROWS, VECTORS};

/// A tile of M rows and V vectors, whose sums are continued over some words of a panel of each operand:
/// `c = beta c`, and then `c += a b` in the order of k.
///
/// There are `words` times `a_width` words at `a`, of which M are read at a time; `words` times `b_width`
/// at `b`, of which V vectors are read; and at `c` M rows of V vectors, which no other code accesses.
pub struct Tile {
    /// Words along k.
    pub words: usize,
    /// `[words, a_width]`.
    pub a: *const u32,
    /// At least M.
    pub a_width: usize,
    /// `[words, b_width]`.
    pub b: *const u32,
    /// At least V vectors.
    pub b_width: usize,
    /// With 0 the old content of `c` is not read.
    pub beta: f32,
    /// The first sum.
    pub c: *mut f32,
    /// From one row of `c` to the next.
    pub row_stride: isize,
}

impl Tile {
    /// Computes `rows` x `columns` sums, of which those of one row are `column_stride` apart in `c`.
    ///
    /// # Safety
    /// As above, with `rows` times `columns` sums at `c`. `arithmetic` is one of this machine.
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
        // SAFETY: the caller guarantees these sums.
        let place = |row: usize, column: usize| unsafe {
            self.c.offset(row as isize * self.row_stride + column as isize * column_stride)
        };
        if self.beta != 0.0 {
            for (row, sums) in sums.chunks_exact_mut(width).take(rows).enumerate() {
                for (column, sum) in sums.iter_mut().enumerate().take(columns) {
                    // SAFETY: as above.
                    *sum = unsafe { *place(row, column) };
                }
            }
        }
        let copy = Tile { c: sums.as_mut_ptr(), row_stride: width as isize, ..self };
        // SAFETY: the copy has `rows` rows of as many vectors.
        unsafe { arithmetic.compute(&copy, rows, vectors) };
        for (row, sums) in sums.chunks_exact(width).take(rows).enumerate() {
            for (column, sum) in sums.iter().enumerate().take(columns) {
                // SAFETY: as above.
                unsafe { *place(row, column) = *sum };
            }
        }
    }
}

/// The most lanes of any machine.
const MOST_LANES: usize = 16;
