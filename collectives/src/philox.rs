//! Philox4x32, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as
//! 1, 2, 3" (SC'11), section 3.3. A draw is a pure function of a 128-bit counter and a 64-bit key: there is no state to
//! save, to share or to keep equal between ranks.
//!
//! The authors report that 7 rounds are the fewest that pass all of BigCrush, and recommend 10. Rounding
//! gradients uses 7 (docs/adr/0009), everything else 10.

/// Multipliers and key increments (Weyl constants) of the published generator.
const MULTIPLY: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Rounds that the authors recommend, and the fewest that pass their tests.
const ROUNDS: usize = 10;
const FEW_ROUNDS: usize = 7;

/// The four 32-bit words that belong to `counter` under `key` after `N` rounds.
#[inline]
pub fn philox4x32<const N: usize>(mut counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    for key in round_keys::<N>(key) {
        let (a, b) = (product(0, counter[0]), product(1, counter[2]));
        counter = [b[1] ^ counter[1] ^ key[0], b[0], a[1] ^ counter[3] ^ key[1], a[0]];
    }
    counter
}

/// The lower and the upper word of `word` times a multiplier.
#[inline]
fn product(multiplier: usize, word: u32) -> [u32; 2] {
    let product = u64::from(MULTIPLY[multiplier]) * u64::from(word);
    [product as u32, (product >> 32) as u32]
}

/// The key of each round.
#[inline]
fn round_keys<const N: usize>(mut key: [u32; 2]) -> [[u32; 2]; N] {
    std::array::from_fn(|_| {
        let round = key;
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        round
    })
}

/// The number of blocks that [`Stream::side_by_side`] computes.
pub const SIDE: usize = 8;

/// The number of 16-bit words of a stream.
pub const HALVES: u64 = 1 << 35;

/// The purpose of a family of draws. Two purposes never share a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Stochastic rounding of gradients; `subject` is the rank. The only purpose with 7 rounds.
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
    /// The input of a benchmark.
    Benchmark = 254,
    /// Draws of tests.
    Test = 255,
}

/// Names a sequence of random words. Word `i` is a pure function of these fields and of `i`.
///
/// # Examples
/// ```
/// use ternflock_collectives::philox::{Purpose, Stream};
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
            Purpose::Ternary => philox4x32::<FEW_ROUNDS>(counter, self.key()),
            _ => philox4x32::<ROUNDS>(counter, self.key()),
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

    /// The constants for kernels that draw many blocks at a time; `None` except for [`Purpose::Ternary`].
    pub(crate) fn lanes(&self) -> Option<Lanes> {
        if self.purpose != Purpose::Ternary {
            return None;
        }
        let [c1, c2, c3] = self.counter();
        let [first, second, keys @ ..] = round_keys::<FEW_ROUNDS>(self.key());
        let b = product(1, c2);
        let a = product(0, b[1] ^ c1 ^ first[0]);
        Some(Lanes {
            multiply: MULTIPLY,
            first: c3 ^ first[1],
            second: [b[0] ^ second[0], a[1] ^ second[1], a[0]],
            keys,
        })
    }

    /// Blocks `first .. first + SIDE`, word by word: `[w][b]` is word `w` of block `first + b`. Each
    /// operation works on all blocks at once, so a caller that is compiled for vectors gets vector code.
    #[inline(always)]
    pub fn side_by_side(&self, first: u32) -> [[u32; SIDE]; 4] {
        let keys = match self.purpose {
            Purpose::Ternary => &round_keys::<FEW_ROUNDS>(self.key())[..],
            _ => &round_keys::<ROUNDS>(self.key())[..],
        };
        // The words are in 64 bits, and the upper half is garbage that no multiplication reads. These are
        // plain loops, because called functions might not be inlined, and would then not be compiled for the
        // caller's vectors.
        let [c1, c2, c3] = self.counter();
        let mut counter = [[0u64; SIDE], [c1.into(); SIDE], [c2.into(); SIDE], [c3.into(); SIDE]];
        for (lane, word) in counter[0].iter_mut().enumerate() {
            *word = first.wrapping_add(lane as u32).into();
        }
        let (mut a, mut b) = ([0u64; SIDE], [0u64; SIDE]);
        for key in keys {
            for lane in 0..SIDE {
                a[lane] = u64::from(MULTIPLY[0]) * (counter[0][lane] & 0xFFFF_FFFF);
            }
            for lane in 0..SIDE {
                b[lane] = u64::from(MULTIPLY[1]) * (counter[2][lane] & 0xFFFF_FFFF);
            }
            for lane in 0..SIDE {
                counter[0][lane] = b[lane] >> 32 ^ counter[1][lane] ^ u64::from(key[0]);
            }
            for lane in 0..SIDE {
                counter[2][lane] = a[lane] >> 32 ^ counter[3][lane] ^ u64::from(key[1]);
            }
            (counter[1], counter[3]) = (b, a);
        }
        let mut words = [[0u32; SIDE]; 4];
        for (words, counter) in words.iter_mut().zip(&counter) {
            for lane in 0..SIDE {
                words[lane] = counter[lane] as u32;
            }
        }
        words
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

/// A stream's constants, for kernels that run the rounds on several blocks side by side.
///
/// The blocks of a stream differ only in the first word of the counter, so most of the first two rounds is
/// the same for all. With `a` the product of the block and the first multiplier, and `b` that of `a`'s upper
/// word XOR `first` and the second multiplier, the counter after two rounds is `b`'s upper word XOR
/// `second[0]`, `b`'s lower word, `a`'s lower word XOR `second[1]`, `second[2]`.
pub(crate) struct Lanes {
    /// The multipliers.
    pub multiply: [u32; 2],
    /// The constants of the first round.
    pub first: u32,
    /// The constants of the second round.
    pub second: [u32; 3],
    /// The keys of the rounds after these.
    pub keys: [[u32; 2]; FEW_ROUNDS - 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the authors' Random123 library (`kat_vectors`, philox4x32, 7 and 10 rounds).
    #[test]
    fn known_answers() {
        let pi = ([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
        let inputs = [([0; 4], [0; 2]), ([u32::MAX; 4], [u32::MAX; 2]), pi];
        let seven = [
            [0x5f6f_b709, 0x0d89_3f64, 0x4f12_1f81, 0x4f73_0a48],
            [0x5207_ddc2, 0x4516_5e59, 0x4d8e_e751, 0x8c52_f662],
            [0x4dfc_caba, 0x190a_87f0, 0xc473_62ba, 0xb6b5_242a],
        ];
        let ten = [
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ];
        assert_eq!(inputs.map(|(counter, key)| philox4x32::<7>(counter, key)), seven);
        assert_eq!(inputs.map(|(counter, key)| philox4x32::<10>(counter, key)), ten);
    }

    #[test]
    fn gradients_are_rounded_with_seven_rounds_all_else_is_drawn_with_ten() {
        let stream = |purpose| Stream { seed: 7 << 32 | 6, purpose, step: 5, subject: 3, tensor: 2 };
        let counter = |purpose: u32| [9, 3, 5, purpose << 24 | 2 << 8];
        assert_eq!(stream(Purpose::Ternary).block(9), philox4x32::<7>(counter(1), [6, 7]));
        for purpose in [Purpose::Initialise, Purpose::Shuffle, Purpose::Benchmark, Purpose::Test] {
            assert_eq!(stream(purpose).block(9), philox4x32::<10>(counter(purpose as u32), [6, 7]));
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
        let base = Stream { seed: 7, purpose: Purpose::Test, step: 5, subject: 3, tensor: 2 };
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
