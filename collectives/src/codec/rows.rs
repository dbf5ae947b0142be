//! The ternaries of some rows of a tensor, side by side without gaps.

use std::ops::Range;

use crate::kernels::{self, Rounding};
use crate::planes::{BLOCK, TERNARY, WORD, WORDS, position, words};

/// Some rows of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows<'a> {
    /// Elements per row, at least 1.
    pub width: usize,
    /// The numbers of the rows, ascending.
    pub ids: &'a [u32],
}

impl<'a> Rows<'a> {
    /// Number of elements of all of them.
    pub fn elements(self) -> usize {
        self.width * self.ids.len()
    }

    /// The elements of the tensor that they are, with neighbouring rows as one range.
    pub fn runs(self) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let neighbours = self.ids.chunk_by(|row, next| row.checked_add(1) == Some(*next));
        neighbours.map(move |run| {
            let start = run[0] as usize * self.width;
            start..start + run.len() * self.width
        })
    }
}

/// Rounds the elements of `rows` of the tensor `values` as [`encode`](super::encode) rounds the whole tensor, with the
/// same draws, and writes them one after another into the payload `planes` from `first_word` on. [`Rounding`] is that of
/// the whole tensor. Only whole words are written; the elements of the last one beyond the rows become zero.
///
/// # Panics
/// If a row ends beyond `values`, or the payload ends before the rows do.
pub fn encode_rows(
    values: &[f32],
    rows: Rows<'_>,
    clip: f32,
    scale: f32,
    rounding: Rounding,
    first_word: usize,
    planes: &mut [u64],
) {
    let kernels = kernels::best();
    let mut block = [0; words(1, TERNARY)];
    let mut writer = Writer { planes, word: first_word, bits: [0; TERNARY], filled: 0 };
    for run in rows.runs() {
        // Elements are rounded a block at a time, from the start of the word that the run begins in.
        let first = run.start / WORD;
        for start in (first..run.end.div_ceil(WORD)).step_by(WORDS) {
            let from = match rounding.draws() {
                Some((stream, word)) => Rounding::StochasticFrom(stream, word + start),
                None => Rounding::Nearest,
            };
            let part = start * WORD..run.end.min((start + WORDS) * WORD);
            kernels.encode(&values[part.clone()], clip, scale, from, 0, &mut block);
            for (word, at) in part.step_by(WORD).enumerate() {
                let skipped = run.start.saturating_sub(at);
                let bits = [block[word] >> skipped, block[word + WORDS] >> skipped];
                writer.push(bits, WORD.min(run.end - at) - skipped);
            }
        }
    }
    writer.finish();
}

/// Decodes the integers of `rows` that begin at `first_word` of the payload `planes` of `width`, times `factor`. Calls
/// `write` with consecutive elements of the tensor and their values, in order; a row may take several calls.
///
/// # Panics
/// If the payload ends before the rows do.
pub fn decode_rows(
    planes: &[u64],
    width: usize,
    first_word: usize,
    factor: f32,
    rows: Rows<'_>,
    mut write: impl FnMut(Range<usize>, &[f32]),
) {
    let kernels = kernels::best();
    let (mut block, mut at, mut end) = ([0.0; BLOCK], 0, 0);
    let (mut word, mut left) = (first_word, rows.elements());
    for mut run in rows.runs() {
        while !run.is_empty() {
            if at == end {
                (at, end) = (0, left.min(BLOCK));
                kernels.decode(planes, width, word, factor, &mut block[..end]);
                word += WORDS;
                left -= end;
            }
            let count = run.len().min(end - at);
            write(run.start..run.start + count, &block[at..at + count]);
            (at, run.start) = (at + count, run.start + count);
        }
    }
}

/// Appends elements to a payload of ternaries.
struct Writer<'p> {
    planes: &'p mut [u64],
    /// The word that is being filled, with its `bits`, of which some are `filled`.
    word: usize,
    bits: [u64; TERNARY],
    filled: usize,
}

impl Writer<'_> {
    /// Appends `count` elements, 1 to 64, whose planes are `bits`; higher bits are zero or belong to later elements.
    #[inline]
    fn push(&mut self, bits: [u64; TERNARY], count: usize) {
        let bits = bits.map(|bits| bits & (u64::MAX >> (WORD - count)));
        (0..TERNARY).for_each(|plane| self.bits[plane] |= bits[plane] << self.filled);
        let end = self.filled + count;
        if end < WORD {
            self.filled = end;
            return;
        }
        self.flush();
        self.filled = end - WORD;
        if self.filled > 0 {
            self.bits = bits.map(|bits| bits >> (count - self.filled));
        }
    }

    fn flush(&mut self) {
        let at = position(self.word, TERNARY);
        (self.planes[at], self.planes[at + WORDS]) = (self.bits[0], self.bits[1]);
        self.bits = [0; TERNARY];
        self.word += 1;
    }

    fn finish(mut self) {
        if self.filled > 0 {
            self.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{Layout, encode};
    use crate::planes::get;
    use crate::random::{Purpose, Stream};

    proptest! {
        /// Every element of a row is the ternary of the whole tensor, and nothing but whole words is written.
        #[test]
        fn rows_are_rounded_as_in_the_whole_tensor(
            width in 1..700_usize, rows in 1..12_usize, chosen in any::<u16>(), first_word in 0..20_usize,
            nearest in any::<bool>(), tiny in any::<bool>(), seed in any::<u64>(),
        ) {
            let stream = Stream { seed, purpose: Purpose::Ternary, step: 3, subject: 1, tensor: 2 };
            let draws = Stream { purpose: Purpose::Test, ..stream };
            let unit = if tiny { 1e-35 } else { 1.0 };
            let values: Vec<f32> =
                (0..width * rows).map(|index| (draws.word(index as u64) as i32 as f32) / 2e9 * unit).collect();
            let rounding = if nearest { Rounding::Nearest } else { Rounding::Stochastic(&stream) };
            let (clip, scale) = (0.9 * unit, 0.8 * unit);
            let ids: Vec<u32> = (0..rows as u32).filter(|row| chosen >> row & 1 == 1).collect();
            let rows = Rows { width, ids: &ids };

            let mut whole = vec![0; Layout::new([values.len()]).words(TERNARY)];
            encode(&values, clip, scale, rounding, 0, &mut whole);
            let room = Layout::new([first_word * WORD, rows.elements(), 1]);
            let mut planes = vec![u64::MAX; room.words(TERNARY)];
            encode_rows(&values, rows, clip, scale, rounding, first_word, &mut planes);

            let written = first_word * WORD..room.first_word(2) * WORD;
            let mut found = written.clone().map(|element| get(&planes, TERNARY, element));
            for run in rows.runs() {
                for element in run {
                    prop_assert_eq!(found.next(), Some(get(&whole, TERNARY, element)));
                }
            }
            prop_assert!(found.all(|padding| padding == 0));
            let mut decoded = vec![f32::NAN; values.len()];
            decode_rows(&planes, TERNARY, first_word, 0.5, rows, |range, values| {
                decoded[range].copy_from_slice(values);
            });
            for (element, value) in decoded.iter().enumerate() {
                match ids.contains(&((element / width) as u32)) {
                    true => prop_assert_eq!(*value, 0.5 * get(&whole, TERNARY, element) as f32),
                    false => prop_assert!(value.is_nan()),
                }
            }
            let around = (0..room.blocks() * 512).filter(|element| !written.contains(element));
            prop_assert!(around.into_iter().all(|element| get(&planes, TERNARY, element) == -1));
        }
    }

    #[test]
    fn neighbouring_rows_are_one_run() {
        let runs = |ids: &[u32]| Rows { width: 3, ids }.runs().collect::<Vec<_>>();
        assert_eq!(runs(&[0, 1, 4, u32::MAX]).len(), 3);
        assert_eq!(runs(&[0, 1, 4]), [0..6, 12..15]);
        assert_eq!(runs(&[]), []);
    }
}
