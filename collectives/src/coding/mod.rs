//! Lossless coding of planes: fewer words for segments whose elements are not equally likely.
//!
//! Fixed planes spend 2 bits on a ternary and [`width`](crate::planes::width)`(k)` on a sum, whatever the values are. Most
//! elements of a gradient become 0, so their entropy is lower. [`encode`] groups the elements of a segment into bytes, counts
//! them, and codes each with about as many bits as its frequency calls for (rANS, order 0). [`decode`] gives back the same
//! planes. A segment is coded only if its frequencies predict that it becomes an eighth shorter, and its message is always
//! shorter than its planes, so that its length alone tells whether it is coded. `docs/algorithms.md` has the format and its bounds.
//!
//! # Examples
//! ```
//! use ternflock_collectives::coding::{decode, encode};
//! use ternflock_collectives::kernels;
//! use ternflock_collectives::planes::{TERNARY, words};
//!
//! // 8,192 ternaries, of which every 64th is 1.
//! let mut planes = vec![0; words(16, TERNARY)];
//! planes.chunks_mut(16).for_each(|block| block[..8].fill(1));
//! let mut message = vec![0; planes.len()];
//! let length = encode(kernels::best(), &planes, TERNARY, &mut message).expect("it becomes shorter");
//! assert!(length < planes.len() / 4);
//!
//! let mut decoded = vec![0; planes.len()];
//! decode(kernels::best(), &message[..length], TERNARY, &mut decoded)?;
//! assert_eq!(decoded, planes);
//! assert!(decode(kernels::best(), &message[..length - 1], TERNARY, &mut decoded).is_err());
//! # Ok::<(), ternflock_collectives::coding::Damage>(())
//! ```

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod coder;
mod frequencies;
mod rans;
mod segment;
mod symbols;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::AVX2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::AVX512;
pub(crate) use coder::{Coder, PORTABLE};

use crate::kernels::Kernels;
use crate::planes::words;

/// Why a coded segment cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It does not begin with the header of a segment of this width.
    #[error("it has no header of a coded segment of this width")]
    Header,
    /// Its header gives another length than the message has, or it ends before its frequencies and states do.
    #[error("its length does not match its header")]
    Length,
    /// Its frequencies are out of order or do not add up to 4096.
    #[error("its frequencies are out of order or do not add up")]
    Frequencies,
    /// It has a symbol that does not exist at this width.
    #[error("it has a symbol that does not exist at this width")]
    Symbol,
    /// Its stream ends too early or too late, or not in the states in which every stream ends.
    #[error("its stream does not end where its planes do")]
    Stream,
}

/// Codes the blocks of `planes` into the beginning of `message`, which has the same length. Returns the words used, fewer
/// than those of the planes, or `None` if an estimate from the frequencies does not save at least an eighth, or if the
/// stream does not fit; the content of `message` is then unspecified. The bytes do not depend on the `kernels`.
///
/// # Panics
/// If `planes` does not hold complete blocks at `width`, or `message` has another length.
pub fn encode(kernels: &Kernels, planes: &[u64], width: usize, message: &mut [u64]) -> Option<usize> {
    check(planes, width);
    segment::encode(kernels.coder(), planes, width, message)
}

/// Writes the planes that were coded as `message`. Needs a table of fixed size and no other memory, whatever the message contains.
///
/// # Errors
/// [`Damage`] if the message is not a coded segment of this length; the content of `planes` is then unspecified.
///
/// # Panics
/// If `planes` does not hold complete blocks at `width`.
pub fn decode(kernels: &Kernels, message: &[u64], width: usize, planes: &mut [u64]) -> Result<(), Damage> {
    check(planes, width);
    segment::decode(kernels.coder(), message, width, planes)
}

fn check(planes: &[u64], width: usize) {
    assert!(planes.len().is_multiple_of(words(1, width)), "the planes are not a whole number of blocks");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::available;
    use crate::planes::TERNARY;
    use crate::random::{Purpose, Stream};

    /// Planes whose first is set with a probability of `density`, and whose others are random where it is.
    fn planes(blocks: usize, width: usize, density: f64) -> Vec<u64> {
        let mut state = 7_u64;
        let mut draw = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 32
        };
        let mut planes = vec![0; words(blocks, width)];
        for block in planes.chunks_exact_mut(words(1, width)) {
            for element in 0..512 {
                if (draw() as f64) < density * 2f64.powi(32) {
                    let (word, bit) = (element / 64, element % 64);
                    block[word] |= 1 << bit;
                    (1..width).for_each(|plane| block[plane * 8 + word] |= (draw() & 1) << bit);
                }
            }
        }
        planes
    }

    fn entropy(density: f64, width: usize) -> f64 {
        let others = density * (width - 1) as f64;
        let part = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
        part(density) + part(1.0 - density) + others
    }

    #[test]
    fn a_coded_segment_takes_about_its_entropy() {
        for (width, density) in [(2, 0.01), (2, 0.1), (2, 0.2), (3, 0.2), (4, 0.05), (4, 0.2), (6, 0.1)] {
            let planes = planes(1024, width, density);
            let mut message = vec![0; planes.len()];
            let length = encode(kernels_best(), &planes, width, &mut message).expect("it is shorter");
            let (bits, ideal) = (length as f64 * 64.0 / (1024.0 * 512.0), entropy(density, width));
            assert!(bits < 1.02 * ideal + 0.005 && bits > 0.97 * ideal, "{width} {density}: {bits} {ideal}");
        }
    }

    fn kernels_best() -> &'static Kernels {
        available().last().expect("there are some")
    }

    #[test]
    fn a_constant_segment_takes_two_words_and_random_planes_are_not_coded() {
        for (planes, expected) in [(vec![0; 16], Some(2)), (vec![u64::MAX; 160], Some(2))] {
            let mut message = vec![7; planes.len()];
            assert_eq!(encode(kernels_best(), &planes, TERNARY, &mut message), expected);
        }
        let random = Stream { seed: 1, purpose: Purpose::Test, step: 0, subject: 0, tensor: 0 };
        let half = |index: usize| u64::from(random.word(index as u64));
        let planes: Vec<u64> = (0..words(64, 4)).map(|i| half(2 * i) << 32 | half(2 * i + 1)).collect();
        assert_eq!(encode(kernels_best(), &planes, 4, &mut vec![0; planes.len()]), None);
        // Sums over more than 127 ranks.
        assert_eq!(encode(kernels_best(), &[0; words(1, 9)], 9, &mut [0; words(1, 9)]), None);
        assert_eq!(encode(kernels_best(), &[], TERNARY, &mut []), None);
    }

    #[test]
    fn cuts_are_noticed_and_so_are_nearly_all_wrong_bits() {
        let planes = planes(8, TERNARY, 0.1);
        let mut message = vec![0; planes.len()];
        let length = encode(kernels_best(), &planes, TERNARY, &mut message).expect("it is shorter");
        let decode = |message: &[u64]| decode(kernels_best(), message, TERNARY, &mut vec![0; planes.len()]);
        assert_eq!(decode(&message[..length]), Ok(()));
        for cut in 0..length {
            assert!(decode(&message[..cut]).is_err(), "cut to {cut}");
        }
        // Some bits make another valid segment: those of a symbol in the frequencies, and a few of the states.
        let is_noticed = |bit: &usize| {
            let mut wrong = message.clone();
            wrong[bit / 64] ^= 1 << (bit % 64);
            decode(&wrong[..length]).is_err()
        };
        assert_eq!((0..64).filter(is_noticed).count(), 64, "in the header");
        let noticed = (0..64 * length).filter(is_noticed).count();
        assert!(noticed > 64 * length * 98 / 100, "{noticed} of {}", 64 * length);
        let header = message[0];
        assert_eq!(decode(&message[..length + 1]), Err(Damage::Length));
        message[0] = header + (1 << 32);
        assert_eq!(decode(&message[..length + 1]), Err(Damage::Stream));
    }
}
