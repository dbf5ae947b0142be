//! The arithmetic of a product: which micro-kernel computes it, and in which format the kernel reads its
//! operands.

#[cfg(target_arch = "x86_64")]
use super::kernel_bf16;
use super::lines::Cut;
use super::{kernel, tile::Tile};
use crate::bf16::{Precision, has_avx512_bf16};
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
}

impl Arithmetic {
    /// The fastest of this machine.
    pub fn of(precision: Precision) -> Arithmetic {
        match precision {
            Precision::Float32 => Arithmetic::Float32,
            Precision::Bf16 if has_avx512_bf16() => Arithmetic::PairedBf16,
            Precision::Bf16 => Arithmetic::RoundedBf16,
        }
    }

    /// The number of words that hold `k` values of a line.
    pub fn words(self, k: usize) -> usize {
        if self == Arithmetic::PairedBf16 { k.div_ceil(2) } else { k }
    }

    /// Values per vector of sums.
    pub fn lanes(self) -> usize {
        self.machine().lanes
    }

    fn machine(self) -> Machine {
        match self {
            Arithmetic::PairedBf16 => Machine { lanes: 16, registers: 32 },
            _ => Machine::this(),
        }
    }

    /// The cut of the lines whose values are broadcast. Two vectors of sums per line stay in registers,
    /// together with two vectors of the other operand and one broadcast value.
    pub fn rows(self) -> Cut {
        let Machine { lanes, registers } = self.machine();
        let most = ((registers - 3) / 2).min(MOST_ROWS);
        Cut { most, width: most.next_power_of_two().max(lanes), even: true }
    }

    /// The cut of the lines that fill vectors.
    pub fn columns(self) -> Cut {
        let width = VECTORS * self.lanes();
        Cut { most: width, width, even: false }
    }

    /// Computes a tile of `rows` rows and `vectors` vectors.
    ///
    /// # Safety
    /// See [`Tile`]. This is an arithmetic of this machine.
    pub unsafe fn compute(self, tile: &Tile, rows: usize, vectors: usize) {
        match self {
            // SAFETY: guaranteed by the caller.
            Arithmetic::Float32 | Arithmetic::RoundedBf16 => unsafe { kernel::compute(tile, rows, vectors) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Arithmetic::PairedBf16 => unsafe { kernel_bf16::compute(tile, rows, vectors) },
            #[cfg(not(target_arch = "x86_64"))]
            Arithmetic::PairedBf16 => unreachable!("no such instructions"),
        }
    }
}

/// The maximum number of rows of a tile.
pub const MOST_ROWS: usize = 14;

/// The maximum number of vectors in a row of a tile.
pub const VECTORS: usize = 2;
