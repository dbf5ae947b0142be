//! The arithmetic of a product: which micro-kernel computes it, and in which format the kernel reads its
//! operands.

use std::ops::Range;

use ternflock_base::split::chunk;

use super::lines::{Cut, Order, ROW_WORDS};
use super::{kernel, tile::Tile};
#[cfg(target_arch = "x86_64")]
use super::{kernel_amx, kernel_bf16};
use crate::bf16::{Precision, has_amx_bf16, has_avx512_bf16};
use crate::blocks::Machine;

/// How products are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arithmetic {
    /// float32 operands.
    Float32,
    /// Operands rounded to bf16, computed in float32: the portable version of `PairedBf16`.
    RoundedBf16,
    /// Pairs of bf16 values along k, with the instructions AVX512_BF16.
    PairedBf16,
    /// Pairs of bf16 values along k, with AMX tiles.
    TiledBf16,
}

impl Arithmetic {
    /// The fastest of this machine.
    pub fn of(precision: Precision) -> Arithmetic {
        match precision {
            Precision::Float32 => Arithmetic::Float32,
            Precision::Bf16 if has_amx_bf16() => Arithmetic::TiledBf16,
            Precision::Bf16 if has_avx512_bf16() => Arithmetic::PairedBf16,
            Precision::Bf16 => Arithmetic::RoundedBf16,
        }
    }

    /// The maximum number of words along k of a panel that should stay in the L1 cache.
    pub fn most_words(self) -> usize {
        if self == Arithmetic::TiledBf16 { 11 * ROW_WORDS } else { MOST_WORDS }
    }

    /// The number of words that hold `k` values of a line, padding included.
    pub fn words(self, k: usize) -> usize {
        match self {
            Arithmetic::PairedBf16 => k.div_ceil(2),
            Arithmetic::TiledBf16 => k.div_ceil(2).next_multiple_of(ROW_WORDS),
            _ => k,
        }
    }

    /// Cuts `words` into as few parts of at most `most` words as possible. A kernel continues the sums of one part in
    /// the next part.
    pub fn word_parts(self, words: usize, most: usize) -> impl Iterator<Item = Range<usize>> + Clone {
        let step = if self == Arithmetic::TiledBf16 { ROW_WORDS } else { 1 };
        let parts = words.div_ceil(most).max(1);
        (0..parts).map(move |part| {
            let steps = chunk(0..words / step, parts, part);
            steps.start * step..steps.end * step
        })
    }

    /// Values per vector of sums.
    pub fn lanes(self) -> usize {
        self.machine().lanes
    }

    fn machine(self) -> Machine {
        match self {
            Arithmetic::PairedBf16 | Arithmetic::TiledBf16 => Machine { lanes: 16, registers: 32 },
            _ => Machine::this(),
        }
    }

    /// The cut of the lines whose values are broadcast. Two vectors of sums per line stay in registers,
    /// together with two vectors of the other operand and one broadcast value. With AMX, these lines are the rows
    /// of two tiles.
    pub fn rows(self) -> Cut {
        if self == Arithmetic::TiledBf16 {
            return Cut { most: MOST_ROWS, width: MOST_ROWS, even: false, order: Order::ByLine };
        }
        let Machine { lanes, registers } = self.machine();
        let most = (registers - 3) / 2;
        Cut { most, width: most.next_power_of_two().max(lanes), even: true, order: Order::ByWord }
    }

    /// The cut of the lines that fill vectors.
    pub fn columns(self) -> Cut {
        let width = VECTORS * self.lanes();
        Cut { most: width, width, even: false, order: Order::ByWord }
    }

    /// The cut of the lines that fill vectors, for columns that are read again for each panel of rows. With AMX, a
    /// panel is one tile wide, so it is read in address order, which the processor prefetches best.
    pub fn streamed_columns(self) -> Cut {
        let near = self.columns();
        if self == Arithmetic::TiledBf16 {
            Cut { most: self.lanes(), width: self.lanes(), ..near }
        } else {
            near
        }
    }

    /// Runs `work` on tiles that all have `rows` rows.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "only AMX has tiles"))]
    pub fn with_rows(self, rows: usize, work: impl FnOnce()) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Arithmetic::TiledBf16 => kernel_amx::with_rows(rows, work),
            _ => work(),
        }
    }

    /// Computes a tile of `rows` rows and `vectors` vectors.
    ///
    /// # Safety
    /// See [`Tile`]. This machine must support this arithmetic, and the call must be inside [`Arithmetic::with_rows`].
    pub unsafe fn compute(self, tile: &Tile, rows: usize, vectors: usize) {
        match self {
            // SAFETY: guaranteed by the caller.
            Arithmetic::Float32 | Arithmetic::RoundedBf16 => unsafe { kernel::compute(tile, rows, vectors) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Arithmetic::PairedBf16 => unsafe { kernel_bf16::compute(tile, rows, vectors) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Arithmetic::TiledBf16 => unsafe { kernel_amx::compute(tile, rows, vectors) },
            #[cfg(not(target_arch = "x86_64"))]
            Arithmetic::PairedBf16 | Arithmetic::TiledBf16 => unreachable!("no such instructions"),
        }
    }
}

/// The maximum number of words of a line that are packed together.
pub const MOST_WORDS: usize = 768;

/// The maximum number of rows of a tile.
pub const MOST_ROWS: usize = 32;

/// The maximum number of vectors in a row of a tile.
pub const VECTORS: usize = 2;
