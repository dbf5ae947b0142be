//! Words of which most are zero, as a bitmap and the words that are not.
//!
//! A message holds, two per word: the other words in their order; a bitmap with one bit per sparse word, from the lowest
//! bit of its first word on; and the sparse words that are not zero.

use super::reduction::to_maxima;
use crate::{Error, Result, Transport};

/// Sparse words per word of the bitmap.
const BITS: usize = u32::BITS as usize;

/// The place of the sparse words among the words of a reduction.
#[derive(Clone, Copy, Debug)]
pub struct Sparse {
    /// The first one.
    pub start: usize,
    /// Their number.
    pub count: usize,
}

impl Sparse {
    pub const NONE: Sparse = Sparse { start: 0, count: 0 };

    /// Words of 32 bits of the bitmap.
    fn bitmap(self) -> usize {
        self.count.div_ceil(BITS)
    }

    /// The most words of 64 bits in a message of `values` values: none of them is zero.
    pub fn most_words(self, values: usize) -> usize {
        (values + self.bitmap()).div_ceil(2)
    }

    /// A message of `values`.
    pub fn packed(self, transport: &mut dyn Transport, values: &[u32]) -> Vec<u64> {
        let (first, rest) = values.split_at(self.start);
        let (sparse, last) = rest.split_at(self.count);
        let dense = first.len() + last.len();
        let nonzero = sparse.iter().filter(|value| **value != 0).count();
        let mut message = transport.buffer((dense + self.bitmap() + nonzero).div_ceil(2));
        if let Some(padding) = message.last_mut() {
            *padding = 0;
        }
        let words: &mut [u32] = bytemuck::cast_slice_mut(&mut message);
        let (dense, words) = words.split_at_mut(dense);
        dense[..first.len()].copy_from_slice(first);
        dense[first.len()..].copy_from_slice(last);
        let (bitmap, words) = words.split_at_mut(self.bitmap());
        for (bits, values) in bitmap.iter_mut().zip(sparse.chunks(BITS)) {
            *bits = values.iter().zip(0..).fold(0, |bits, (value, bit)| bits | u32::from(*value != 0) << bit);
        }
        let nonzero = sparse.iter().filter(|value| **value != 0);
        words.iter_mut().zip(nonzero).for_each(|(word, value)| *word = *value);
        message
    }

    /// Combines `values`, of which the first `maxima` are reduced by maximum and the others by bitwise or, with the
    /// `message` of another rank. `rank` is this rank, for errors.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the message is too short or too long for its bitmap.
    pub fn combine(self, rank: usize, values: &mut [u32], maxima: usize, message: &[u32]) -> Result<()> {
        let dense = values.len() - self.count;
        let invalid = |what: String| Error::Invalid { rank, what };
        let Some((bitmap, words)) =
            message.get(dense..).and_then(|rest| rest.split_at_checked(self.bitmap()))
        else {
            return Err(invalid(format!(
                "a message of scales that ends before its bitmap of {} bits",
                self.count
            )));
        };
        let marked: usize = bitmap.iter().map(|bits| bits.count_ones() as usize).sum();
        let beyond = bitmap.last().map_or(0, |bits| (u64::from(*bits) >> ((self.count - 1) % BITS)) >> 1);
        // Two values make a word, so there may be one of padding, which is zero.
        let fits = message.len() == (dense + bitmap.len() + marked).next_multiple_of(2);
        if beyond != 0 || !fits {
            return Err(invalid(format!(
                "a message of scales whose bitmap marks {marked} of {} words and which has room for {}",
                self.count,
                words.len()
            )));
        }
        let (first, rest) = values.split_at_mut(self.start);
        let (sparse, last) = rest.split_at_mut(self.count);
        let (other_first, other_last) = message[..dense].split_at(first.len());
        to_maxima(first, other_first);
        let (largest, bits) = last.split_at_mut(maxima - self.start - self.count);
        let (other_largest, other_bits) = other_last.split_at(largest.len());
        to_maxima(largest, other_largest);
        bits.iter_mut().zip(other_bits).for_each(|(value, other)| *value |= other);
        let mut others = words.iter();
        for (bits, values) in bitmap.iter().zip(sparse.chunks_mut(BITS)) {
            let mut bits = *bits;
            while bits != 0 {
                let value = &mut values[bits.trailing_zeros() as usize];
                *value = (*value).max(others.next().copied().unwrap_or(0));
                bits &= bits - 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::transport::threads;

    /// Two values, 70 sparse ones of which some are not zero, one more maximum and one word of bits.
    fn values(seed: u32) -> Vec<u32> {
        let mut values = vec![7 + seed, 5];
        values.extend(
            (0..70).map(|index| if (index * 13 + seed).is_multiple_of(9) { index * seed + 1 } else { 0 }),
        );
        values.extend([seed, 1 << seed]);
        values
    }

    const SPARSE: Sparse = Sparse { start: 2, count: 70 };

    fn message(values: &[u32]) -> Vec<u32> {
        let message = SPARSE.packed(&mut threads::solo(Duration::from_secs(1)), values);
        bytemuck::cast_slice(&message).to_vec()
    }

    #[test]
    fn a_message_holds_what_is_not_zero() {
        for seed in 1..20 {
            let (own, other) = (values(3), values(seed));
            let message = message(&other);
            let nonzero = other[2..72].iter().filter(|value| **value != 0).count();
            assert_eq!(message.len(), (4 + 3 + nonzero).next_multiple_of(2));
            let mut combined = own.clone();
            SPARSE.combine(0, &mut combined, 73, &message).expect("it is whole");
            let mut expected: Vec<u32> = own.iter().zip(&other).map(|(a, b)| *a.max(b)).collect();
            expected[73] = own[73] | other[73];
            assert_eq!(combined, expected);
        }
        assert_eq!(SPARSE.most_words(74), (74 + 3) / 2 + 1);
    }

    #[test]
    fn a_bitmap_that_does_not_fit_is_refused() {
        let whole = message(&values(1));
        let refuse =
            |message: &[u32]| SPARSE.combine(3, &mut values(2), 73, message).unwrap_err().to_string();
        for cut in [0, 2, 4, 6, whole.len() - 2] {
            assert!(refuse(&whole[..cut]).starts_with("rank 3 received a message of scales"));
        }
        let long = [&whole[..], &[0, 0]].concat();
        refuse(&long);
        // A bit fewer than there are words, and one beyond the last of 70.
        for (word, bit) in [(4, 2), (6, 31)] {
            let mut wrong = whole.clone();
            wrong[word] ^= 1 << bit;
            refuse(&wrong);
        }
    }
}
