//! Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as
//! 1, 2, 3" (SC'11), section 3.3. A draw is a pure function of a 128-bit counter and a 64-bit key: there is no state to
//! save, to share or to let drift between ranks.

/// Multipliers and key increments (Weyl constants) of the published generator.
const MULTIPLY: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// The four 32-bit words that belong to `counter` under `key`.
#[inline]
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let a = u64::from(MULTIPLY[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLY[1]) * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// Words of 16 bits that a stream has.
pub const HALVES: u64 = 1 << 35;

/// What a family of draws is for. Two purposes never share a counter, whatever else they have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Stochastic rounding of gradients; `subject` is the rank.
    Ternary = 1,
    /// Initial parameters.
    Initialise = 2,
    /// The permutation of an epoch; `step` is the epoch.
    Shuffle = 3,
    /// What a benchmark computes with.
    Benchmark = 254,
    /// Anything only a test draws.
    Test = 255,
}

/// Names a sequence of random words; word `i` of it is a pure function of these fields and of `i`.
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
        philox4x32([block, subject, step, tail], self.key())
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

    /// What a kernel that draws many blocks at a time needs to know.
    pub(crate) fn lanes(&self) -> Lanes {
        let mut key = self.key();
        let keys = std::array::from_fn(|_| {
            let round = key;
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
            round
        });
        Lanes { counter: self.counter(), keys, multiply: MULTIPLY }
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
pub(crate) struct Lanes {
    /// The counter's words after that of the block.
    pub counter: [u32; 3],
    /// The key of each round.
    pub keys: [[u32; 2]; ROUNDS],
    /// The multipliers.
    pub multiply: [u32; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the authors' Random123 library (`kat_vectors`, philox4x32 10 rounds).
    #[test]
    fn known_answers() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
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
