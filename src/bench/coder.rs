//! The entropy coder on one core: segments of ternaries and of sums, as an all-reduce sends them.

use std::hint::black_box;

use serde::Serialize;
use ternflock_collectives::all_reduce::SEGMENT;
use ternflock_collectives::coding;
use ternflock_collectives::kernels::{self, Kernels};
use ternflock_collectives::planes::{BLOCK, TERNARY, WORDS, width, words};
use ternflock_collectives::random::{Purpose, Stream};

use super::codec::timed;
use ternflock_base::error::{Error, Result};
use ternflock_base::quantile::median;

/// Medians of the entropy coder's times, in seconds, for the number of elements in the vector of [`Codec`](super::Codec).
#[derive(Clone, Debug, Serialize)]
pub struct Coder {
    /// The number of ranks that the elements are sums over.
    pub ranks: usize,
    /// The part of the ternaries of each rank that is not 0.
    pub density: f64,
    /// Bits per element of fixed planes.
    pub planes: usize,
    /// Bits per element of coded segments.
    pub bits_per_element: f64,
    /// From planes to coded segments.
    pub code_s: f64,
    /// From coded segments to planes.
    pub restore_s: f64,
}

/// The segments that are measured: ranks, and the binary logarithm of one over the density.
const CASES: [(usize, u32); 4] = [(1, 2), (1, 6), (4, 2), (4, 6)];

/// Times the coder of `kernels` in `rounds` rounds, for `elements` elements.
///
/// # Errors
/// [`Error::Disagree`] if its result differs from that of the portable kernels.
pub(super) fn coder(kernels: &Kernels, elements: usize, rounds: usize) -> Result<Vec<Coder>> {
    let measured = |(ranks, rarity)| Case::new(ranks, rarity).time(kernels, elements, rounds);
    CASES.into_iter().map(measured).collect()
}

struct Case {
    ranks: usize,
    density: f64,
    width: usize,
    planes: Vec<u64>,
}

impl Case {
    /// A segment of sums over `ranks` ranks of ternaries that are not 0 with a probability of 2^-`rarity`.
    fn new(ranks: usize, rarity: u32) -> Case {
        let mut planes = ternaries(0, rarity);
        for rank in 1..ranks {
            let mut sum = vec![0; words(SEGMENT, width(rank + 1))];
            let (narrow, wide) = (width(rank), width(rank + 1));
            kernels::best().add(&planes, narrow, &ternaries(rank, rarity), TERNARY, &mut sum, wide);
            planes = sum;
        }
        Case { ranks, density: 0.5_f64.powi(rarity as i32), width: width(ranks), planes }
    }

    fn time(self, kernels: &Kernels, elements: usize, rounds: usize) -> Result<Coder> {
        let Case { ranks, density, width, planes } = self;
        let code = |kernels: &Kernels, message: &mut Vec<u64>| {
            message.resize(planes.len(), 0);
            let length = coding::encode(kernels, black_box(&planes), width, message);
            message.truncate(length.unwrap_or(0));
        };
        let (mut message, mut expected, mut restored) = (Vec::new(), Vec::new(), vec![0; planes.len()]);
        code(kernels, &mut message);
        code(&kernels::available()[0], &mut expected);
        let decoded = coding::decode(kernels, &message, width, &mut restored);
        if message != expected || decoded.is_err() || restored != planes {
            let isa = kernels.isa();
            let text =
                format!("wrong results of {isa}, please report it: the entropy coder at {width} planes");
            return Err(Error::Disagree(text));
        }
        let bits_per_element = (u64::BITS as usize * message.len()) as f64 / (SEGMENT * BLOCK) as f64;
        let (mut code_s, mut restore_s) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            code_s.push(timed(|| code(kernels, &mut message)));
            restore_s.push(timed(|| {
                _ = black_box(coding::decode(kernels, black_box(&message), width, &mut restored));
            }));
        }
        let scale = elements as f64 / (SEGMENT * BLOCK) as f64;
        let [code_s, restore_s] = [code_s, restore_s].map(|times| scale * median(times));
        Ok(Coder { ranks, density, planes: width, bits_per_element, code_s, restore_s })
    }
}

/// A segment of ternaries.
fn ternaries(rank: usize, rarity: u32) -> Vec<u64> {
    let stream = Stream { seed: 0, purpose: Purpose::Test, step: 0, subject: rank as u32, tensor: 0 };
    let mut next = 0;
    let mut draw = || {
        next += 2;
        u64::from(stream.word(next)) << 32 | u64::from(stream.word(next + 1))
    };
    let mut planes = vec![0; words(SEGMENT, TERNARY)];
    for block in planes.as_chunks_mut::<{ TERNARY * WORDS }>().0 {
        for word in 0..WORDS {
            block[word] = (0..rarity).fold(u64::MAX, |kept, _| kept & draw());
            block[word + WORDS] = block[word] & draw();
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_near_the_entropy_of_the_ternaries() {
        for (rarity, entropy) in [(2, 1.0613), (6, 0.1316)] {
            let coder = Case::new(1, rarity).time(kernels::best(), 1000, 1).unwrap();
            assert!((1.0..1.05).contains(&(coder.bits_per_element / entropy)), "{coder:?}");
        }
    }
}
