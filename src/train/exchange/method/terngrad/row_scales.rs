//! Scales of single rows, for tensors whose rows differ much in size.
//!
//! Such a tensor is not clipped. A row with an element above the clipping threshold on some rank gets a scale s of its own,
//! the largest magnitude of all ranks, and three ternaries per element, the digits a, b and c of s / 7 times (4 a + 2 b + c).
//! The first two are rounded to nearest, and the last one rounds what is left at random, so the expected value is the element.
//! Digits after the first follow the tensors in the payload. All other rows share the scale of the tensor. In a language
//! model's output layer these are nearly all rows: they become mostly zeros, which take few bytes when they are coded.

use std::ops::Range;

use ternflock_collectives::codec::{Rounding, Rows, decode_part, encode_part};
use ternflock_collectives::planes::{TERNARY, WORD};

use super::super::Tensor;

/// Ternaries per element of a row with a scale of its own.
pub const DIGITS: usize = 3;

/// Those of them that follow the tensors in the payload.
pub const MORE_DIGITS: usize = DIGITS - 1;

/// The part of the scale that the last digit counts.
const UNITS: f32 = ((1 << DIGITS) - 1) as f32;

/// The scales of the rows of a payload's tensors.
pub struct RowScales {
    /// By tensor: the place of its rows among all; empty if it has one scale.
    rows: Vec<Range<usize>>,
    /// By row: the bits of its scale, 0 if it shares that of the tensor. First this rank's, then those that the ranks have
    /// agreed on.
    words: Vec<u32>,
    /// Room for a row, from the start of the word of the tensor that it begins in.
    row: Vec<f32>,
}

impl RowScales {
    pub fn new(tensors: &[Tensor]) -> RowScales {
        let mut end = 0;
        let mut take = |tensor: &Tensor| {
            let start = end;
            end += tensor.scaled_rows();
            start..end
        };
        let rows = tensors.iter().map(&mut take).collect();
        let widths = tensors.iter().filter(|tensor| tensor.row_scales).map(|tensor| WORD + tensor.row());
        RowScales { rows, words: vec![0; end], row: vec![0.0; widths.max().unwrap_or(0)] }
    }

    /// The words that the ranks reduce by maximum.
    pub fn words(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// Whether the rows of some tensor may have scales of their own.
    pub fn are_used(&self) -> bool {
        !self.words.is_empty()
    }

    /// Whether the rows of the tensor at `place` may have scales of their own.
    pub fn is_scaled(&self, place: usize) -> bool {
        !self.rows[place].is_empty()
    }

    /// By tensor, the number of its rows with scales of their own.
    pub fn counts(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|rows| self.words[rows.clone()].iter().filter(|word| **word != 0).count())
    }

    /// Writes this rank's scales of the rows of the tensor at `place`, with rows of `width`, whose clipping threshold is
    /// `clip`. Values must be finite.
    pub fn prepare(&mut self, place: usize, width: usize, values: &[f32], clip: f32) {
        let words = &mut self.words[self.rows[place].clone()];
        for (row, word) in values.chunks(width.max(1)).zip(words) {
            // Without an early exit, so that the compiler vectorises the loop: most rows are below the threshold. The bits of
            // magnitudes have the order of the floats.
            let largest = row.iter().fold(0, |largest, value| value.abs().to_bits().max(largest));
            *word = if f32::from_bits(largest) > clip { largest } else { 0 };
        }
    }

    /// Encodes the rows of `tensor` that have scales of their own, in place of their ternaries with the `scale` of the
    /// tensor. [`Rounding`] is that of the whole tensor.
    pub fn encode(
        &mut self,
        tensor: &Scaled<'_>,
        scale: f32,
        values: &[f32],
        rounding: Rounding,
        planes: &mut [u64],
    ) {
        let RowScales { rows, words, row: left } = self;
        for own in tensor.own(&words[rows[tensor.place].clone()], scale) {
            let range = tensor.range(own.row);
            // What is left to encode, at its place in the words of the tensor: it is rounded with the draws of its elements.
            let (word, skipped) = (range.start / WORD, range.start % WORD);
            let place = skipped..skipped + tensor.width;
            let left = &mut left[..place.end];
            left[place.clone()].copy_from_slice(&values[range]);
            for (digit, power) in powers().take(MORE_DIGITS) {
                let (at, unit) = (own.digits[digit], power * own.unit);
                encode_part(left, place.clone(), f32::INFINITY, unit, Rounding::Nearest, at, planes);
                for (number, part) in left[place.clone()].chunks_mut(WORD).enumerate() {
                    let sent = &mut [0.0; WORD][..part.len()];
                    decode_part(planes, TERNARY, at + number * WORD, unit, sent);
                    part.iter_mut().zip(sent).for_each(|(left, sent)| *left -= *sent);
                }
            }
            let rounding = match rounding {
                Rounding::Stochastic(stream) => Rounding::StochasticFrom(stream, word),
                Rounding::StochasticFrom(stream, start) => Rounding::StochasticFrom(stream, start + word),
                Rounding::Nearest => Rounding::Nearest,
            };
            encode_part(left, place, f32::INFINITY, own.unit, rounding, own.digits[MORE_DIGITS], planes);
        }
    }

    /// Decodes these rows from `planes` of `width`, divides them by `divisor`, and passes each on with its number.
    pub fn decode(
        &mut self,
        tensor: &Scaled<'_>,
        scale: f32,
        divisor: f32,
        (planes, width): (&[u64], usize),
        mut write: impl FnMut(usize, &[f32]),
    ) {
        let RowScales { rows, words, row: room } = self;
        for own in tensor.own(&words[rows[tensor.place].clone()], scale) {
            let (values, factor) = (&mut room[..tensor.width], own.unit / divisor);
            for (number, part) in values.chunks_mut(WORD).enumerate() {
                part.fill(0.0);
                let integers = &mut [0.0; WORD][..part.len()];
                for (digit, power) in powers() {
                    decode_part(planes, width, own.digits[digit] + number * WORD, power, integers);
                    // Sums of integers, exact in f32 for up to 2^21 ranks.
                    part.iter_mut().zip(&*integers).for_each(|(sum, integer)| *sum += integer);
                }
                part.iter_mut().for_each(|value| *value *= factor);
            }
            write(own.row, values);
        }
    }

    /// Whether `row` of the tensor at `place` has a scale of its own.
    pub fn has_own(&self, place: usize, row: usize) -> bool {
        self.words[self.rows[place].clone()].get(row).is_some_and(|word| *word != 0)
    }
}

/// The digits, and the powers of two by which they count.
fn powers() -> impl Iterator<Item = (usize, f32)> {
    (0..DIGITS).map(|digit| (digit, (1 << (MORE_DIGITS - digit)) as f32))
}

/// A tensor with scales of rows, and its places in the payload.
pub struct Scaled<'a> {
    /// Its place among the tensors of the payload.
    pub place: usize,
    /// Elements per row.
    pub width: usize,
    /// The element of the payload at which it begins.
    pub first: usize,
    /// The element of the payload at which the digits after the first begin.
    pub more: usize,
    /// The rows that travel, if not all of them do.
    pub rows: Option<Rows<'a>>,
}

/// A row with a scale of its own.
struct Own {
    row: usize,
    /// What its last digit counts.
    unit: f32,
    /// The elements of the payload at which its digits begin.
    digits: [usize; DIGITS],
}

impl Scaled<'_> {
    /// The elements of a row of the tensor.
    pub fn range(&self, row: usize) -> Range<usize> {
        row * self.width..(row + 1) * self.width
    }

    /// The rows with scales of their own, in order, by the agreed `words` of the tensor. A row with a scale has a gradient, so
    /// it travels.
    fn own<'s>(&'s self, words: &'s [u32], scale: f32) -> impl Iterator<Item = Own> + 's {
        let mut travelling = self.rows.map_or(&[][..], |rows| rows.ids).iter().enumerate();
        let own = words.iter().enumerate().filter(|(_, word)| **word != 0).enumerate();
        own.filter_map(move |(number, (row, word))| {
            let order = match self.rows {
                None => row,
                Some(_) => travelling.find(|(_, id)| **id as usize == row)?.0,
            };
            let (first, more) =
                (self.first + order * self.width, self.more + number * MORE_DIGITS * self.width);
            let place = |digit: usize| if digit == 0 { first } else { more + (digit - 1) * self.width };
            let unit = f32::from_bits(*word).max(scale) / UNITS;
            Some(Own { row, unit, digits: std::array::from_fn(place) })
        })
    }
}
