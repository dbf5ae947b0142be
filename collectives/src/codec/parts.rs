//! A few elements of a tensor whose scale is another than that of the rest.

use std::ops::Range;

use crate::kernels::{self, Rounding};
use crate::planes::{BLOCK, TERNARY, WORD, WORDS, position, words};

/// Rounds the elements `range` of the tensor `values` as [`encode`](super::encode) rounds the whole tensor with this `clip`
/// and `scale`, with the same draws, and overwrites with them the ternaries of the payload `planes` that begin at element
/// `at`. All other elements keep their bits. [`Rounding`] is that of the whole tensor.
///
/// # Panics
/// If `range` ends beyond `values`, or the payload ends before the elements do.
pub fn encode_part(
    values: &[f32],
    range: Range<usize>,
    clip: f32,
    scale: f32,
    rounding: Rounding,
    at: usize,
    planes: &mut [u64],
) {
    if range.is_empty() {
        return;
    }
    let kernels = kernels::best();
    let mut block = [0; words(1, TERNARY)];
    // Elements are rounded a block at a time, from the start of the word that the range begins in.
    for start in (range.start / WORD..range.end.div_ceil(WORD)).step_by(WORDS) {
        let from = match rounding.draws() {
            Some((stream, word)) => Rounding::StochasticFrom(stream, word + start),
            None => Rounding::Nearest,
        };
        let part = start * WORD..range.end.min((start + WORDS) * WORD);
        kernels.encode(&values[part.clone()], clip, scale, from, 0, &mut block);
        for (word, first) in part.step_by(WORD).enumerate() {
            let skipped = range.start.saturating_sub(first);
            let bits = [block[word] >> skipped, block[word + WORDS] >> skipped];
            let element = at + (first + skipped - range.start);
            overwrite(planes, element, bits, WORD.min(range.end - first) - skipped);
        }
    }
}

/// Overwrites `count` ternaries, 1 to 64, from `element` on.
#[inline]
fn overwrite(planes: &mut [u64], element: usize, bits: [u64; TERNARY], count: usize) {
    let (word, shift) = (element / WORD, element % WORD);
    let mask = u64::MAX >> (WORD - count);
    for (plane, bits) in bits.into_iter().enumerate() {
        let bits = bits & mask;
        let own = &mut planes[position(word, TERNARY) + plane * WORDS];
        *own = *own & !(mask << shift) | bits << shift;
        if shift + count > WORD {
            let next = &mut planes[position(word + 1, TERNARY) + plane * WORDS];
            *next = *next & !(mask >> (WORD - shift)) | bits >> (WORD - shift);
        }
    }
}

/// Writes `factor` times the integers that begin at element `at` of the payload `planes` of `width` to `values`, as
/// [`decode`](super::decode) does for elements that begin at a word.
///
/// # Panics
/// If the payload ends before the values do.
pub fn decode_part(planes: &[u64], width: usize, at: usize, factor: f32, values: &mut [f32]) {
    let kernels = kernels::best();
    let mut block = [0.0; BLOCK];
    let (mut at, mut rest) = (at, values);
    while !rest.is_empty() {
        let skipped = at % WORD;
        let count = rest.len().min(BLOCK - skipped);
        let decoded = &mut block[..skipped + count];
        kernels.decode(planes, width, at / WORD, factor, decoded);
        let (values, others) = rest.split_at_mut(count);
        values.copy_from_slice(&decoded[skipped..]);
        (at, rest) = (at + count, others);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{Layout, decode, encode};
    use crate::planes::{get, width};
    use crate::random::{Purpose, Stream};

    proptest! {
        /// The elements of the part are those of the whole tensor with the scale of the part, and no others change.
        #[test]
        fn a_part_is_that_of_the_whole_tensor(
            elements in 1..3000_usize, first in 0..3000_usize, count in 0..1500_usize, at in 0..700_usize,
            nearest in any::<bool>(), tiny in any::<bool>(), seed in any::<u64>(),
        ) {
            let stream = Stream { seed, purpose: Purpose::Ternary, step: 3, subject: 1, tensor: 2 };
            let draws = Stream { purpose: Purpose::Test, ..stream };
            let unit = if tiny { 1e-35 } else { 1.0 };
            let values: Vec<f32> =
                (0..elements).map(|index| (draws.word(index as u64) as i32 as f32) / 2e9 * unit).collect();
            let rounding = if nearest { Rounding::Nearest } else { Rounding::Stochastic(&stream) };
            let (clip, scale) = (0.9 * unit, 0.8 * unit);
            let range = first.min(elements)..(first + count).min(elements);

            let mut whole = vec![0; Layout::new([elements]).words(TERNARY)];
            encode(&values, clip, scale, rounding, 0, &mut whole);
            let before: Vec<u64> = (0..Layout::new([at + range.len()]).words(TERNARY))
                .map(|word| u64::from(draws.word(1 << 20 | word as u64)) * 0x1_0000_0001)
                .collect();
            let mut planes = before.clone();
            encode_part(&values, range.clone(), clip, scale, rounding, at, &mut planes);
            for element in 0..planes.len() / TERNARY * WORD {
                let expected = match element.checked_sub(at).filter(|index| *index < range.len()) {
                    Some(index) => get(&whole, TERNARY, range.start + index),
                    None => get(&before, TERNARY, element),
                };
                prop_assert_eq!(get(&planes, TERNARY, element), expected, "element {}", element);
            }
        }

        #[test]
        fn a_decoded_part_is_that_of_the_whole_payload(
            at in 0..1500_usize, count in 0..1500_usize, ranks in 1..12_usize, seed in any::<u64>(),
        ) {
            let (width, layout) = (width(ranks), Layout::new([at + count]));
            let draws = Stream { seed, purpose: Purpose::Test, step: 0, subject: 0, tensor: 0 };
            let planes: Vec<u64> = (0..layout.words(width))
                .map(|word| u64::from(draws.word(2 * word as u64)) << 32 | u64::from(draws.word(2 * word as u64 + 1)))
                .collect();
            let mut whole = vec![0.0; at + count];
            decode(&planes, width, 0, 0.3, &mut whole);
            let mut part = vec![f32::NAN; count];
            decode_part(&planes, width, at, 0.3, &mut part);
            prop_assert_eq!(&part[..], &whole[at..]);
        }
    }
}
