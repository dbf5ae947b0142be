//! Random words for stochastic rounding, a few words of a tensor at a time, by the best instructions for rounds of AES.
//!
//! Draws pass through memory (1 KiB, which stays in the L1 cache), so that each set of rounding kernels works with
//! each kind of these instructions: a processor may have wide vectors without wide AES, or the reverse.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::sync::LazyLock;

use crate::planes::WORD;
use crate::random::{Stream, ars};

/// The number of words of a tensor whose draws are computed together.
const GROUP: usize = 8;

/// Blocks per word: each has eight draws of 16 bits.
const BLOCKS: usize = WORD / 8;

/// The upper 16 bits of the draws of [`GROUP`] words.
#[repr(C, align(64))]
pub(super) struct Draws([[u16; WORD]; GROUP]);

/// The draws of a tensor.
pub(super) struct Generator<'a> {
    source: Source<'a>,
    /// The word of the tensor that words are counted from.
    start: usize,
    draws: Draws,
}

enum Source<'a> {
    /// ARS, for [`Purpose::Ternary`](crate::random::Purpose::Ternary).
    Ars(Keys, Fill),
    /// Any other stream, block by block.
    Blocks(&'a Stream),
}

/// The state before the first round, for block 0, and the keys of the rounds.
struct Keys {
    start: [u32; 4],
    rounds: [[u32; 4]; ars::FEW_ROUNDS],
}

/// Computes all blocks of a group, from a first block on.
type Fill = unsafe fn(&Keys, u32, &mut Draws);

/// The ways to do it on this machine, the fastest last.
static AVAILABLE: LazyLock<Vec<Fill>> = LazyLock::new(|| {
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut))]
    let mut available: Vec<Fill> = vec![portable];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("aes") {
            available.push(x86::aes);
        }
        if is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx2") {
            available.push(x86::vaes);
        }
        if is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx512f") {
            available.push(x86::vaes512);
        }
    }
    available
});

impl<'a> Generator<'a> {
    /// The draws of `stream` from word `start` of the tensor on, by the fastest instructions of this machine.
    pub fn new(stream: &'a Stream, start: usize) -> Self {
        Generator::by(AVAILABLE.last().copied().unwrap_or(portable), stream, start)
    }

    /// The same, by the portable loop.
    pub fn portable(stream: &'a Stream, start: usize) -> Self {
        Generator::by(portable, stream, start)
    }

    fn by(fill: Fill, stream: &'a Stream, start: usize) -> Self {
        let source = match stream.rounds() {
            Some((start, rounds)) => Source::Ars(Keys { start, rounds }, fill),
            None => Source::Blocks(stream),
        };
        Generator { source, start, draws: Draws([[0; WORD]; GROUP]) }
    }

    /// The draws of word `index`, counted from the start. Words are asked for in order, from the first one on.
    #[inline(always)]
    pub fn word(&mut self, index: usize) -> &[u16; WORD] {
        if index.is_multiple_of(GROUP) {
            self.fill(((self.start + index) * BLOCKS) as u32);
        }
        &self.draws.0[index % GROUP]
    }

    #[inline(never)]
    fn fill(&mut self, first: u32) {
        match &self.source {
            // SAFETY: the list has only what this machine can run.
            Source::Ars(keys, fill) => unsafe { fill(keys, first, &mut self.draws) },
            Source::Blocks(stream) => self.draws.write(|index| stream.block(first.wrapping_add(index))),
        }
    }
}

impl Draws {
    /// Overwrites all draws with those of the blocks of a group.
    #[inline(always)]
    fn write(&mut self, block: impl Fn(u32) -> [u32; 4]) {
        for (draws, index) in self.0.as_flattened_mut().as_chunks_mut::<8>().0.iter_mut().zip(0..) {
            for (pair, random) in draws.as_chunks_mut().0.iter_mut().zip(block(index)) {
                *pair = [random as u16, (random >> 16) as u16];
            }
        }
    }
}

fn portable(keys: &Keys, first: u32, draws: &mut Draws) {
    let [word, a, b, c] = keys.start;
    draws.write(|index| ars::rounds([word ^ first.wrapping_add(index), a, b, c], &keys.rounds));
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;

    /// Registers in flight: a round takes about four cycles, and two can begin per cycle.
    const FLIGHT: usize = 8;

    /// Fills with registers of `$count` blocks.
    macro_rules! fill {
        ($name:ident, $features:literal, $register:ty, $count:literal,
         $broadcast:path, $xor:path, $add:path, $load:path, $store:path, $round:path, $last:path) => {
            #[target_feature(enable = $features)]
            pub fn $name(keys: &Keys, first: u32, draws: &mut Draws) {
                let words = |words: [u32; 4]| {
                    // SAFETY: four words are a register of 128 bits.
                    $broadcast(unsafe { _mm_loadu_si128(words.as_ptr().cast()) })
                };
                let start = words(keys.start);
                let [rounds @ .., last] = keys.rounds.map(words);
                let mut lanes = [[0u32; 4]; $count];
                for (lane, index) in lanes.iter_mut().zip(first..) {
                    lane[0] = index;
                }
                // SAFETY: as many words as the register has.
                let mut block = unsafe { $load(lanes.as_ptr().cast()) };
                let step = words([$count, 0, 0, 0]);
                for blocks in draws.0.as_flattened_mut().as_chunks_mut::<{ FLIGHT * $count * 8 }>().0 {
                    let mut states: [$register; FLIGHT] = [start; FLIGHT];
                    for at in 0..FLIGHT {
                        states[at] = $xor(start, block);
                        block = $add(block, step);
                    }
                    for key in rounds {
                        for at in 0..FLIGHT {
                            states[at] = $round(states[at], key);
                        }
                    }
                    for at in 0..FLIGHT {
                        // SAFETY: each of the registers has its part of the chunk.
                        unsafe {
                            let to = blocks.as_mut_ptr().add(at * $count * 8);
                            $store(to.cast(), $last(states[at], last));
                        }
                    }
                }
            }
        };
    }

    /// A copy, so that all widths have this operation.
    #[target_feature(enable = "sse2")]
    fn one(block: __m128i) -> __m128i {
        block
    }

    fill!(
        aes,
        "aes,sse2",
        __m128i,
        1,
        one,
        _mm_xor_si128,
        _mm_add_epi32,
        _mm_loadu_si128,
        _mm_storeu_si128,
        _mm_aesenc_si128,
        _mm_aesenclast_si128
    );
    fill!(
        vaes,
        "vaes,avx2",
        __m256i,
        2,
        _mm256_broadcastsi128_si256,
        _mm256_xor_si256,
        _mm256_add_epi32,
        _mm256_loadu_si256,
        _mm256_storeu_si256,
        _mm256_aesenc_epi128,
        _mm256_aesenclast_epi128
    );
    fill!(
        vaes512,
        "vaes,avx512f",
        __m512i,
        4,
        _mm512_broadcast_i32x4,
        _mm512_xor_si512,
        _mm512_add_epi32,
        _mm512_loadu_si512,
        _mm512_storeu_si512,
        _mm512_aesenc_epi128,
        _mm512_aesenclast_epi128
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn all_instructions_give_the_draws_of_the_stream() {
        for purpose in [Purpose::Ternary, Purpose::Test] {
            let stream = Stream { seed: 7 << 40 | 6, purpose, step: 1 << 35, subject: 3, tensor: 2 };
            for (kind, fill) in AVAILABLE.iter().enumerate() {
                for start in [0, 3, 8] {
                    let mut generator = Generator::by(*fill, &stream, start);
                    for word in 0..3 * GROUP {
                        let expected: [u16; WORD] =
                            std::array::from_fn(|draw| stream.half(((start + word) * WORD + draw) as u64));
                        assert_eq!(*generator.word(word), expected, "kind {kind}, word {word} from {start}");
                    }
                }
            }
        }
    }
}
