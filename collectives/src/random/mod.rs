//! Counter-based random numbers: a draw is a pure function of a 128-bit counter and a key. There is no state to save,
//! to share or to keep equal between ranks.
//!
//! [`Stream`] names a sequence of draws. Rounding of gradients ([`Purpose::Ternary`]) draws from [`ars`], everything
//! else from [`philox`] (docs/adr/0035).

pub mod ars;
pub mod philox;

use ars::ars4x32;
use philox::philox4x32;

/// The number of blocks that [`Stream::side_by_side`] computes.
pub const SIDE: usize = 8;

/// The number of 16-bit words of a stream.
pub const HALVES: u64 = 1 << 35;

/// The purpose of a family of draws. Two purposes never share a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Stochastic rounding of gradients; `subject` is the rank. The only purpose that draws from ARS.
    Ternary = 1,
    /// Initial parameters.
    Initialise = 2,
    /// The permutation of an epoch; `step` is the epoch.
    Shuffle = 3,
    /// Dropout masks; `subject` is the sample's position in the global batch, `tensor` the layer.
    Dropout = 4,
    /// Augmentation of images; `subject` is the sample's position in the global batch.
    Augment = 5,
    /// Synthetic images; `step` is the sample, `tensor` the part of the data set.
    Synthetic = 6,
    /// Synthetic text; `step` is the token, `tensor` the part of the data set.
    SyntheticText = 7,
    /// Noise on weights; `subject` is the position of the first sample of a micro-batch in the global batch.
    SmoothOut = 8,
    /// Points around a network's parameters; `step` is the repeat.
    Landscape = 9,
    /// Which training samples form the validation split. `step` is the class; `subject` is 0, or 1 for the order of the
    /// classes.
    Validation = 10,
    /// PowerSGD's first factors; `subject` is the column, equal on all ranks.
    PowerSgd = 11,
    /// Tokens that a language model draws; `step` is the number of tokens drawn before.
    Sample = 12,
    /// The input of a benchmark.
    Benchmark = 254,
    /// Draws of tests.
    Test = 255,
}

/// Names a sequence of random words. Word `i` is a pure function of these fields and of `i`.
///
/// # Examples
/// ```
/// use ternflock_collectives::random::{Purpose, Stream};
///
/// let stream = Stream { seed: 7, purpose: Purpose::Test, step: 3, subject: 0, tensor: 0 };
/// assert_eq!(stream.word(1000), stream.block(250)[0]);
/// assert_ne!(stream.word(1000), Stream { step: 4, ..stream }.word(1000));
/// ```
///
/// The fields fill the 128-bit counter without hashing, so two different streams of one seed never meet:
/// 32 bits of block, 32 of subject, 40 of step, 16 of tensor, 8 of purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The job's seed: the generator's key.
    pub seed: u64,
    /// What the draws are for.
    pub purpose: Purpose,
    /// Training step or epoch, below 2^40.
    pub step: u64,
    /// Rank or sample.
    pub subject: u32,
    /// Index of the tensor in the network.
    pub tensor: u16,
}

impl Stream {
    /// Words `4 * block .. 4 * block + 4` of the stream.
    #[inline]
    pub fn block(&self, block: u32) -> [u32; 4] {
        debug_assert!(self.step < 1 << 40, "steps are counted in 40 bits");
        let [subject, step, tail] = self.counter();
        let counter = [block, subject, step, tail];
        match self.purpose {
            Purpose::Ternary => ars4x32::<{ ars::FEW_ROUNDS }>(counter, self.long_key()),
            _ => philox4x32(counter, self.key()),
        }
    }

    /// The counter's words after that of the block.
    fn counter(&self) -> [u32; 3] {
        let tail = (self.step >> 32) as u32 & 0xFF
            | u32::from(self.tensor) << 8
            | u32::from(self.purpose as u8) << 24;
        [self.subject, self.step as u32, tail]
    }

    fn key(&self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    /// The key as ARS takes it.
    fn long_key(&self) -> [u32; 4] {
        let [low, high] = self.key();
        [low, high, 0, 0]
    }

    /// What kernels need to draw many blocks at a time: the counter of block 0 plus the first key, and the keys of the
    /// rounds. Another block changes the first word by an exclusive or. `None` except for [`Purpose::Ternary`].
    pub(crate) fn rounds(&self) -> Option<([u32; 4], [[u32; 4]; ars::FEW_ROUNDS])> {
        let [subject, step, tail] = self.counter();
        let (first, keys) = ars::round_keys(self.long_key());
        let start = [first[0], subject ^ first[1], step ^ first[2], tail ^ first[3]];
        (self.purpose == Purpose::Ternary).then_some((start, keys))
    }

    /// Blocks `first .. first + SIDE`, word by word: `[w][b]` is word `w` of block `first + b`. A caller that is compiled for
    /// vectors gets vector code, except for [`Purpose::Ternary`].
    #[inline(always)]
    pub fn side_by_side(&self, first: u32) -> [[u32; SIDE]; 4] {
        if self.purpose == Purpose::Ternary {
            let blocks: [[u32; 4]; SIDE] =
                std::array::from_fn(|block| self.block(first.wrapping_add(block as u32)));
            return std::array::from_fn(|word| blocks.map(|block| block[word]));
        }
        philox::side_by_side(first, self.counter(), self.key())
    }

    /// Word `index` of the stream, `index` below 2^34.
    #[inline]
    pub fn word(&self, index: u64) -> u32 {
        self.block((index / 4) as u32)[(index % 4) as usize]
    }

    /// Word `index` of 16 bits, `index` below [`HALVES`]: the lower half of word `index / 2` if it is even, else the
    /// upper.
    #[inline]
    pub fn half(&self, index: u64) -> u16 {
        (self.word(index / 2) >> (index % 2 * 16)) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_rounded_with_ars_all_else_is_drawn_from_philox() {
        let stream = |purpose| Stream { seed: 7 << 32 | 6, purpose, step: 5, subject: 3, tensor: 2 };
        let counter = |purpose: u32| [9, 3, 5, purpose << 24 | 2 << 8];
        assert_eq!(stream(Purpose::Ternary).block(9), ars4x32::<5>(counter(1), [6, 7, 0, 0]));
        for purpose in [Purpose::Initialise, Purpose::Shuffle, Purpose::Benchmark, Purpose::Test] {
            assert_eq!(stream(purpose).block(9), philox4x32(counter(purpose as u32), [6, 7]));
        }
    }

    #[test]
    fn blocks_side_by_side_are_the_blocks() {
        for purpose in [Purpose::Ternary, Purpose::SmoothOut] {
            for first in [0, 8, u32::MAX - 7] {
                let stream = Stream { seed: 7 << 40 | 6, purpose, step: 1 << 35, subject: 3, tensor: 2 };
                let words = stream.side_by_side(first);
                for block in 0..SIDE {
                    assert_eq!(words.map(|word| word[block]), stream.block(first + block as u32));
                }
            }
        }
    }

    #[test]
    fn streams_differ_in_every_field() {
        for purpose in [Purpose::Test, Purpose::Ternary] {
            let base = Stream { seed: 7, purpose, step: 5, subject: 3, tensor: 2 };
            let others = [
                Stream { seed: 8, ..base },
                Stream { seed: 7 | 1 << 40, ..base },
                Stream { purpose: Purpose::Shuffle, ..base },
                Stream { step: 6, ..base },
                Stream { step: 5 | 1 << 33, ..base },
                Stream { subject: 4, ..base },
                Stream { tensor: 3, ..base },
            ];
            for other in others {
                assert_ne!(base.block(0), other.block(0), "{other:?}");
            }
            assert_eq!(base.word(9), base.block(2)[1]);
            assert_eq!(u32::from(base.half(18)) | u32::from(base.half(19)) << 16, base.word(9));
        }
    }
}
