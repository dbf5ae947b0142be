//! Scales of single rows, for tensors whose rows differ much in size.
//!
//! A row is clipped at the threshold of its tensor or at that of the row, whichever is larger. Where a clipped element is
//! above the scale of the tensor, the row has a scale of its own: the largest clipped magnitude of all ranks. All other
//! rows, nearly all of them in a language model's output layer, share the scale of the tensor. So there are few scales to
//! agree on, and small rows become zeros, which take few bytes when they are coded.

use std::ops::Range;

use ternflock_collectives::codec::{Moments, Rounding, Rows, decode_part, encode_part};

use super::super::Tensor;

/// The scales of the rows of a payload's tensors.
pub struct RowScales {
    /// By tensor: the place of its rows among all; empty if it has one scale.
    rows: Vec<Range<usize>>,
    /// By row: the bits of its scale, 0 where it is not above that of the tensor. First this rank's, then those that the
    /// ranks have agreed on.
    words: Vec<u32>,
    /// By row: the clipping threshold on this rank.
    clips: Vec<f32>,
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
        RowScales { rows, words: vec![0; end], clips: vec![f32::INFINITY; end] }
    }

    /// The words that the ranks reduce by maximum.
    pub fn words(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// Whether the rows of the tensor at `place` may have scales of their own.
    pub fn is_scaled(&self, place: usize) -> bool {
        !self.rows[place].is_empty()
    }

    /// Computes this rank's scales of the rows of the tensor at `place`, with rows of `width`: `clip` is the threshold of
    /// the tensor, and that of a row is at `clip_sigma` standard deviations. Values must be finite.
    pub fn prepare(&mut self, place: usize, width: usize, values: &[f32], clip: f32, clip_sigma: f32) {
        let rows = self.rows[place].clone();
        let (words, clips) = (&mut self.words[rows.clone()], &mut self.clips[rows]);
        for ((row, word), row_clip) in values.chunks(width.max(1)).zip(words).zip(clips) {
            // Without an early exit, so that the compiler vectorises the loop: most rows are below the threshold.
            let largest = row.iter().fold(0, |largest, value| value.abs().to_bits().max(largest));
            (*word, *row_clip) = (0, f32::INFINITY);
            if f32::from_bits(largest) > clip {
                let moments = Moments::of(row);
                *row_clip = moments.clip(clip_sigma).max(clip);
                *word = moments.scale(*row_clip).to_bits();
            }
        }
    }

    /// The rows of the tensor at `place` in which the threshold of some rank is exceeded.
    fn own(&self, place: usize) -> impl Iterator<Item = (usize, u32, f32)> {
        let rows = self.rows[place].clone();
        let of = self.words[rows.clone()].iter().zip(&self.clips[rows]).enumerate();
        of.filter(|(_, (word, _))| **word != 0).map(|(row, (word, clip))| (row, *word, *clip))
    }

    /// Encodes these rows once more, with their own scales. `scale` is that of the tensor; the payload of the tensor begins
    /// at element `first`.
    pub fn encode(
        &self,
        tensor: &Scaled<'_>,
        scale: f32,
        values: &[f32],
        rounding: Rounding,
        planes: &mut [u64],
    ) {
        for (row, at, word, clip) in tensor.places(self) {
            let range = row * tensor.width..(row + 1) * tensor.width;
            encode_part(values, range, clip, f32::from_bits(word).max(scale), rounding, at, planes);
        }
    }

    /// Decodes these rows once more: integers times `factor` times their scales; `scale` is that of the tensor.
    pub fn decode(
        &self,
        tensor: &Scaled<'_>,
        scale: f32,
        divisor: f32,
        (planes, width): (&[u64], usize),
        values: &mut [f32],
    ) {
        for (row, at, word, _) in tensor.places(self) {
            let values = &mut values[row * tensor.width..(row + 1) * tensor.width];
            decode_part(planes, width, at, f32::from_bits(word).max(scale) / divisor, values);
        }
    }

    /// The scale of `row` of the tensor at `place`, whose own is `scale`.
    pub fn of(&self, place: usize, row: usize, scale: f32) -> f32 {
        let word = self.words[self.rows[place].clone()].get(row);
        word.map_or(scale, |word| f32::from_bits(*word).max(scale))
    }
}

/// A tensor with scales of rows, and its place in the payload.
pub struct Scaled<'a> {
    /// Its place among the tensors of the payload.
    pub place: usize,
    /// Elements per row.
    pub width: usize,
    /// The element of the payload at which it begins.
    pub first: usize,
    /// The rows that travel, if not all of them do.
    pub rows: Option<Rows<'a>>,
}

impl Scaled<'_> {
    /// The rows with scales of their own: the row, the element of the payload at which it begins, the bits of its scale and
    /// its threshold on this rank. A row with a scale has a gradient, so it travels.
    fn places<'s>(&'s self, scales: &'s RowScales) -> impl Iterator<Item = (usize, usize, u32, f32)> + 's {
        let mut travelling = self.rows.map_or(&[][..], |rows| rows.ids).iter().enumerate();
        scales.own(self.place).filter_map(move |(row, word, clip)| {
            let order = match self.rows {
                None => row,
                Some(_) => travelling.find(|(_, id)| **id as usize == row)?.0,
            };
            Some((row, self.first + order * self.width, word, clip))
        })
    }
}
