//! The tensors of a bucket that one method averages.

use std::ops::Range;

use super::Method;
use crate::exchange::rows::bitmap_words;

/// A tensor of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its number in the network's table: part of the key of its random numbers.
    pub number: u16,
    /// Its place among the bucket's gradients.
    pub range: Range<usize>,
    /// Its dimensions, for methods that treat it as a matrix.
    pub shape: Vec<usize>,
    /// Whether its gradient is zero except in the rows that the samples of a step select. This follows from the
    /// network alone, so it is the same on every rank: it holds for the table of an embedding, unless another layer
    /// shares it.
    pub sparse_rows: bool,
}

impl Tensor {
    /// Elements per row: those of the dimensions after the first.
    pub fn row(&self) -> usize {
        self.shape.iter().skip(1).product()
    }
}

/// The inputs of the cost model: a method, and the shapes of the tensors of a bucket that it averages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// The method.
    pub method: &'static dyn Method,
    /// The dimensions of each tensor.
    pub shapes: Vec<Vec<usize>>,
    /// Number of words in which the ranks mark the rows that travel.
    pub bitmaps: usize,
}

impl Share {
    /// The share of `tensors`.
    pub fn new(method: &'static dyn Method, tensors: &[Tensor]) -> Share {
        let bitmaps = if method.takes_rows() { tensors.iter().map(bitmap_words).sum() } else { 0 };
        Share { method, shapes: tensors.iter().map(|tensor| tensor.shape.clone()).collect(), bitmaps }
    }

    /// Number of elements of all its tensors.
    pub fn elements(&self) -> usize {
        elements(&self.shapes)
    }

    /// Number of words that the ranks agree on for it: those reduced by maximum, and bitmaps.
    pub fn agreed_words(&self) -> usize {
        self.words() + self.bitmaps
    }

    /// Number of words that the ranks reduce by maximum for it.
    pub fn words(&self) -> usize {
        self.method.words(&self.shapes)
    }
}

/// The matrix of `elements` elements that is closest to a square, as a shape: at least as wide as it is high. The
/// tensor on which benchmarks measure a method has this shape.
pub fn squarest(elements: usize) -> [usize; 2] {
    let rows = (1..=elements.isqrt()).rev().find(|rows| elements.is_multiple_of(*rows)).unwrap_or(1);
    [rows, elements / rows]
}

/// Number of elements of tensors of `shapes`.
pub fn elements(shapes: &[Vec<usize>]) -> usize {
    shapes.iter().map(|shape| shape.iter().product::<usize>()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_as_square_as_their_elements_allow() {
        for (elements, sides) in
            [(0, [1, 0]), (1, [1, 1]), (12, [3, 4]), (13, [1, 13]), (1 << 20, [1 << 10; 2])]
        {
            assert_eq!(squarest(elements), sides);
        }
    }
}
