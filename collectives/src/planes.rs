//! Integers as bit planes: the memory layout of a payload. [`Kernels::add`](crate::kernels::Kernels::add)
//! adds two.
//!
//! A payload is a sequence of blocks of [`BLOCK`] elements. At width `w` a block has `w` planes of [`WORDS`] words;
//! plane `p` of block `b` is words `(b * w + p) * 8 .. (b * w + p + 1) * 8`, and bit `i` of its word `j` belongs to
//! element `512 b + 64 j + i`. The planes of an element, from 0 up, are its two's complement from the lowest bit to the
//! sign. For a ternary (width 2: 0 = 00, 1 = 01, -1 = 11) plane 0 is therefore the non-zero plane and plane 1 the
//! negative plane.
//!
//! # Examples
//! ```
//! use ternflock_collectives::kernels;
//! use ternflock_collectives::planes::{TERNARY, get, width, words};
//!
//! assert_eq!([1, 2, 3, 4, 8].map(width), [2, 3, 3, 4, 5]);
//! // One block of ternaries: element 0 is 1, element 1 is -1, all others are 0.
//! let mut ternaries = vec![0; words(1, TERNARY)];
//! ternaries[0] = 0b11; // the non-zero plane
//! ternaries[8] = 0b10; // the negative plane
//! let mut sum = vec![0; words(1, width(2))];
//! kernels::best().add(&ternaries, TERNARY, &ternaries, TERNARY, &mut sum, width(2));
//! assert_eq!([0, 1, 2].map(|element| get(&sum, width(2), element)), [2, -2, 0]);
//! ```

/// Elements of a block.
pub const BLOCK: usize = 512;

/// Elements of a word of a plane.
pub const WORD: usize = u64::BITS as usize;

/// Words of a plane.
pub const WORDS: usize = BLOCK / WORD;

/// Width of a payload of ternaries.
pub const TERNARY: usize = width(1);

/// The width that holds a sum of `ranks` ternaries, `ceil(log2(2 ranks + 1))`: 2, 3, 3, 4, 4, 4, 4, 5, ...
pub const fn width(ranks: usize) -> usize {
    // A two's complement of w bits reaches from -2^(w-1) to 2^(w-1) - 1, so its lower w - 1 bits must hold `ranks`.
    (usize::BITS - ranks.leading_zeros()) as usize + 1
}

/// The number of words of a payload of `blocks` blocks at `width`.
pub const fn words(blocks: usize, width: usize) -> usize {
    blocks * width * WORDS
}

/// The position of the word of plane 0 for the elements `WORD * word ..` of a payload of `width`. The words
/// of the planes above follow at distances of [`WORDS`].
#[inline]
pub const fn position(word: usize, width: usize) -> usize {
    words(word / WORDS, width) + word % WORDS
}

/// The integer that a payload of `width` holds for `element`.
///
/// # Panics
/// If the payload ends before the element.
pub fn get(payload: &[u64], width: usize, element: usize) -> i32 {
    let at = position(element / WORD, width);
    let bit = |plane: usize| (payload[at + plane * WORDS] >> (element % WORD) & 1) as i32;
    let sign = width - 1;
    (0..sign).map(|plane| bit(plane) << plane).sum::<i32>() - (bit(sign) << sign)
}

/// One plane of a block.
pub(crate) type Plane = [u64; WORDS];

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Writes integers to planes one bit at a time: an independent reference.
    pub(crate) fn lay(values: &[i32], width: usize) -> Vec<u64> {
        let mut payload = vec![0; words(values.len().div_ceil(BLOCK), width)];
        for (element, value) in values.iter().enumerate() {
            let (block, word, bit) = (element / 512, element % 512 / 64, element % 64);
            for plane in 0..width {
                let set = (*value as u64) >> plane & 1;
                payload[(block * width + plane) * 8 + word] |= set << bit;
            }
        }
        payload
    }

    #[test]
    fn widths_hold_their_sums_and_no_more() {
        let widths: Vec<usize> = (1..=9).map(width).collect();
        assert_eq!(widths, [2, 3, 3, 4, 4, 4, 4, 5, 5]);
        for ranks in 1..2000_usize {
            let bits = (2.0 * ranks as f64 + 1.0).log2().ceil();
            assert_eq!(width(ranks), bits as usize, "{ranks} ranks");
        }
    }

    #[test]
    fn a_ternary_is_a_non_zero_plane_and_a_negative_plane() {
        let payload = lay(&[0, 1, -1], TERNARY);
        assert_eq!((payload[0], payload[WORDS]), (0b110, 0b100));
    }
}
