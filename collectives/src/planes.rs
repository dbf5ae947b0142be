//! Integers as bit planes: how a payload lies in memory, and how two of them are added.
//!
//! A payload is a sequence of blocks of [`BLOCK`] elements. At width `w` a block has `w` planes of [`WORDS`] words;
//! plane `p` of block `b` is words `(b * w + p) * 8 .. (b * w + p + 1) * 8`, and bit `i` of its word `j` belongs to
//! element `512 b + 64 j + i`. The planes of an element, from 0 up, are its two's complement from the lowest bit to the
//! sign. For a ternary (width 2: 0 = 00, 1 = 01, -1 = 11) plane 0 is therefore the non-zero plane and plane 1 the
//! negative plane.

use crate::kernels;

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

/// Words of a payload of `blocks` blocks at `width`.
pub const fn words(blocks: usize, width: usize) -> usize {
    blocks * width * WORDS
}

/// Where the elements `WORD * word ..` of a payload of `width` have their word of plane 0. Those of the planes above
/// follow at a distance of [`WORDS`].
#[inline]
pub const fn position(word: usize, width: usize) -> usize {
    words(word / WORDS, width) + word % WORDS
}

/// The integer that a payload of `width` holds for `element`.
pub fn get(payload: &[u64], width: usize, element: usize) -> i32 {
    let at = position(element / WORD, width);
    let bit = |plane: usize| (payload[at + plane * WORDS] >> (element % WORD) & 1) as i32;
    let sign = width - 1;
    (0..sign).map(|plane| bit(plane) << plane).sum::<i32>() - (bit(sign) << sign)
}

/// Adds element by element: `sum = a + b`, three payloads of as many blocks at their own widths.
///
/// The sum must fit: `a` over `j` ranks and `b` over `k` need a `sum_width` of at least [`width`]`(j + k)`.
///
/// # Panics
/// If the slices do not hold the same number of whole blocks.
pub fn add(a: &[u64], a_width: usize, b: &[u64], b_width: usize, sum: &mut [u64], sum_width: usize) {
    kernels::best().add(a, a_width, b, b_width, sum, sum_width);
}

/// One plane of a block.
pub(crate) type Plane = [u64; WORDS];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lays integers into planes one bit at a time: the reference that shares nothing with the code above.
    fn lay(values: &[i32], width: usize) -> Vec<u64> {
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

    proptest! {
        #[test]
        fn a_sum_of_planes_is_the_planes_of_the_sum(
            j in 1..40_i32, k in 1..40_i32, blocks in 0..4_usize, seed in any::<u64>(),
        ) {
            let draw = |salt: u64, ranks: i32| -> Vec<i32> {
                let mut state = seed ^ salt;
                (0..blocks * BLOCK).map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 33) as i32 % (2 * ranks + 1) - ranks
                }).collect()
            };
            let (a, b) = (draw(1, j), draw(2, k));
            let (a_width, b_width) = (width(j as usize), width(k as usize));
            let sum_width = width((j + k) as usize);
            let mut sum = vec![u64::MAX; words(blocks, sum_width)];
            add(&lay(&a, a_width), a_width, &lay(&b, b_width), b_width, &mut sum, sum_width);
            let expected: Vec<i32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
            prop_assert_eq!(&sum, &lay(&expected, sum_width));
            for (element, value) in expected.iter().enumerate() {
                prop_assert_eq!(get(&sum, sum_width, element), *value);
            }
        }
    }

    #[test]
    fn the_extremes_of_every_width_add_without_overflow() {
        for ranks in 1..70 {
            for sign in [-1, 1] {
                let all = vec![sign * ranks; BLOCK];
                let (narrow, wide) = (width(ranks as usize), width(2 * ranks as usize));
                let mut sum = vec![0; words(1, wide)];
                add(&lay(&all, narrow), narrow, &lay(&all, narrow), narrow, &mut sum, wide);
                assert_eq!(get(&sum, wide, 17), 2 * sign * ranks);
            }
        }
    }
}
