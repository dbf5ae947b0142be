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
    /// Whether rows that are much larger than the rest have scales of their own, in methods that take these. This follows
    /// from the job and the network.
    pub row_scales: bool,
}

impl Tensor {
    /// Elements per row: those of the dimensions after the first.
    pub fn row(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Number of rows that can have a scale of their own. Each element of a vector is a row.
    pub fn scaled_rows(&self) -> usize {
        if self.row_scales { self.shape.first().copied().unwrap_or(0) } else { 0 }
    }
}

/// The inputs of the cost model: a method, and the shapes of the tensors of a bucket that it averages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// The method.
    pub method: &'static dyn Method,
    /// The dimensions of each tensor.
    pub shapes: Vec<Vec<usize>>,
    /// The places of tensors of which only some rows travel.
    pub sparse: Vec<usize>,
    /// Number of words in which the ranks mark these rows.
    pub bitmaps: usize,
    /// Number and width of the rows of each tensor whose rows can have scales of their own.
    pub scaled: Vec<[usize; 2]>,
    /// How many of the rows of a tensor are expected to have one, at most.
    pub most_scaled: usize,
}

impl Share {
    /// The share of `tensors`.
    pub fn new(method: &'static dyn Method, tensors: &[Tensor]) -> Share {
        let sparse = (0..tensors.len()).filter(|&place| method.takes_rows() && tensors[place].sparse_rows);
        let sparse: Vec<usize> = sparse.collect();
        let bitmaps = sparse.iter().map(|&place| bitmap_words(&tensors[place])).sum();
        let scaled = tensors.iter().filter(|tensor| method.row_digits() > 0 && tensor.scaled_rows() > 0);
        Share {
            shapes: tensors.iter().map(|tensor| tensor.shape.clone()).collect(),
            bitmaps,
            scaled: scaled.map(|tensor| [tensor.scaled_rows(), tensor.row()]).collect(),
            ..Share { sparse, ..Share::complete(method, Vec::new()) }
        }
    }

    /// The share of tensors of `shapes` that travel completely.
    pub fn complete(method: &'static dyn Method, shapes: Vec<Vec<usize>>) -> Share {
        Share { method, shapes, sparse: Vec::new(), bitmaps: 0, scaled: Vec::new(), most_scaled: usize::MAX }
    }

    /// The most that travels of it in a step that reads at most `rows` rows of a table. The same number of rows is expected
    /// to have scales of their own: in an output layer, those of the words that occur in the step.
    pub fn bounded(&self, rows: usize) -> Share {
        let mut share = Share { most_scaled: rows, ..self.clone() };
        for &place in &self.sparse {
            share.shapes[place].iter_mut().take(1).for_each(|all| *all = rows.min(*all));
        }
        share
    }

    /// Number of elements of all its tensors.
    pub fn elements(&self) -> usize {
        elements(&self.shapes)
    }

    /// The shapes of what is expected to travel: those of its tensors, and of what rows with scales of their own add.
    pub fn payload_shapes(&self) -> Vec<Vec<usize>> {
        let more = self.method.row_digits().saturating_sub(1);
        let of = |[rows, width]: &[usize; 2]| vec![self.most_scaled.min(*rows), more * width];
        self.shapes.iter().cloned().chain(self.scaled.iter().map(of)).collect()
    }

    /// Number of words that the ranks are expected to send for it when they agree: those reduced by maximum, bitmaps, and
    /// scales of rows with their bitmaps.
    pub fn agreed_words(&self) -> usize {
        let scales = |[rows, _]: &[usize; 2]| rows.div_ceil(u32::BITS as usize) + self.most_scaled.min(*rows);
        self.words() + self.bitmaps + self.scaled.iter().map(scales).sum::<usize>()
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
    use crate::exchange::method::float32::Float32;
    use crate::exchange::method::terngrad::TernGrad;

    #[test]
    fn only_sparse_tensors_are_bounded() {
        let tensor = |number, sparse_rows| Tensor {
            number,
            range: 0..500,
            shape: vec![100, 5],
            sparse_rows,
            row_scales: sparse_rows,
        };
        let share = Share::new(&Float32, &[tensor(0, false), tensor(1, true)]);
        assert_eq!((share.bitmaps, share.agreed_words(), share.elements()), (4, 4, 1000));
        let bounded = share.bounded(30);
        assert_eq!(bounded.shapes, [[100, 5], [30, 5]]);
        assert_eq!((bounded.bitmaps, share.bounded(usize::MAX)), (4, share));
    }

    #[test]
    fn as_many_rows_have_scales_as_a_step_reads() {
        let tensor =
            Tensor { number: 0, range: 0..500, shape: vec![100, 5], sparse_rows: false, row_scales: true };
        assert_eq!(tensor.scaled_rows(), 100);
        let share = Share::new(&TernGrad, std::slice::from_ref(&tensor));
        assert_eq!((share.agreed_words(), share.bounded(30).agreed_words()), (1 + 4 + 100, 1 + 4 + 30));
        assert_eq!(share.bounded(30).shapes, [[100, 5]]);
        assert_eq!(share.bounded(30).payload_shapes(), [[100, 5], [30, 10]]);
        assert_eq!(Share::new(&Float32, &[tensor]).agreed_words(), 0);
    }

    #[test]
    fn matrices_are_as_square_as_their_elements_allow() {
        for (elements, sides) in
            [(0, [1, 0]), (1, [1, 1]), (12, [3, 4]), (13, [1, 13]), (1 << 20, [1 << 10; 2])]
        {
            assert_eq!(squarest(elements), sides);
        }
    }
}
