//! How the direct kernels pack the operands of their products, and which instructions multiply them.
//!
//! Packed images and weights consist of *words* of 32 bits: one float32 value each, or two bf16 values, the
//! earlier one in the upper half.
//!
//! In the forward pass and the data gradient, the two values of a word are neighbours in the order of the
//! sum, `[S, C]` in each row of the window. An even number of channels is packed as pairs of channels. With
//! an odd number, a pair may begin at any value: then the word of each value also has the next one, and a
//! kernel reads every second word. So no channel is padded, which matters for the one or three channels of a
//! first layer.
//!
//! In the weight gradient, the two values are samples whose distance is one vector.

use super::avx512_bf16::Avx512Bf16;
use crate::bf16::{round, widen};
use crate::blocks::{Block, Machine};
use crate::{Precision, bf16};

/// The packed form of both operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operands {
    /// float32 values.
    Float32,
    /// bf16 values as float32: the portable version of `Pairs`, which adds the same products in the same order.
    Rounded,
    /// Pairs of bf16 values.
    Pairs(Avx512Bf16),
}

impl Operands {
    /// The fastest form on this machine.
    pub fn of(precision: Precision) -> Operands {
        match precision {
            Precision::Float32 => Operands::Float32,
            Precision::Bf16 => Avx512Bf16::detect().map_or(Operands::Rounded, Operands::Pairs),
        }
    }

    /// The values per word.
    fn values(self) -> usize {
        if let Operands::Pairs(_) = self { 2 } else { 1 }
    }

    /// The words per pixel with `channels` channels.
    pub fn words(self, channels: usize) -> usize {
        if channels.is_multiple_of(self.values()) { channels / self.values() } else { channels }
    }

    /// The words from one that a kernel reads to the next, for `channels` channels.
    pub fn step(self, channels: usize) -> usize {
        self.words(channels) * self.values() / channels.max(1)
    }

    /// The packed words of one pixel of a block, in the weight gradient.
    pub fn sample_words(self, block: Block, machine: Machine) -> usize {
        match self {
            Operands::Pairs(_) => machine.lanes,
            _ => block.vectors * machine.lanes,
        }
    }

    /// The word of `value`, which `next` follows.
    #[inline(always)]
    pub fn word(self, value: f32, next: f32) -> f32 {
        match self {
            Operands::Float32 => value,
            Operands::Rounded => widen(round(value)),
            Operands::Pairs(_) => f32::from_bits(u32::from(round(value)) << 16 | u32::from(round(next))),
        }
    }

    /// Rounds packed float32 values, if they are to be bf16 values.
    pub fn round(self, packed: &mut [f32]) {
        if self == Operands::Rounded {
            bf16::round_in_place(packed);
        }
    }
}
