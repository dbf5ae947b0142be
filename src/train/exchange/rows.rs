//! Row-sparse gradients: the ranks agree on the rows in which any of them has a gradient, and only those travel.
//!
//! Each rank marks its rows in a bitmap, which is reduced by bitwise or in the messages that reduce the scales. Rows that
//! no rank has marked are zero on every rank, so their mean is known without sending anything.

use ternflock_collectives::{Error, Result};

use super::method::Tensor;
use ternflock_tensor::{has_bits, prefetch_after, vectorise};

/// Rows per word of a bitmap.
const WORD: usize = u32::BITS as usize;

/// A tensor of a bucket whose gradient is zero except in some rows.
#[derive(Debug)]
pub struct SparseTensor {
    /// For errors: "embedding/weight".
    name: String,
    /// Its place among the tensors of its payload.
    pub place: usize,
    tensor: Tensor,
    rows: usize,
    /// The rows that travel in this step, ascending.
    active: Vec<u32>,
}

impl SparseTensor {
    /// Those of `tensors` whose gradients are sparse. `name` names a tensor in errors.
    pub fn of(tensors: &[Tensor], name: impl Fn(&Tensor) -> String) -> Vec<SparseTensor> {
        let sparse = tensors.iter().enumerate().filter(|(_, tensor)| tensor.sparse_rows);
        let new = |(place, tensor): (usize, &Tensor)| {
            let rows = tensor.shape.first().copied().unwrap_or(0);
            SparseTensor {
                name: name(tensor),
                place,
                tensor: tensor.clone(),
                rows,
                active: Vec::with_capacity(rows),
            }
        };
        sparse.map(new).collect()
    }

    /// Number of words of its bitmap.
    pub fn words(&self) -> usize {
        bitmap_words(&self.tensor)
    }

    /// Marks in `bitmap` the rows of the bucket's `gradients` that are not zero. A negative zero counts as a value, so that
    /// rows that no rank has marked have the same bits on all ranks.
    pub fn mark(&self, gradients: &[f32], bitmap: &mut [u32]) {
        let mut rows = gradients[self.tensor.range.clone()].chunks(self.tensor.row().max(1));
        vectorise(
            #[inline(always)]
            || {
                for word in bitmap {
                    *word = rows.by_ref().take(WORD).zip(0..).fold(0, |bits, (row, bit)| {
                        prefetch_after(row);
                        bits | u32::from(has_bits(row)) << bit
                    });
                }
            },
        );
    }

    /// Lists the rows of the `bitmap` that the ranks have agreed on. `rank` is this rank, for errors.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a row is marked that the tensor does not have.
    pub fn collect(&mut self, rank: usize, bitmap: &[u32]) -> Result<()> {
        self.active.clear();
        for (word, first) in bitmap.iter().zip((0..).step_by(WORD)) {
            let mut bits = *word;
            while bits != 0 {
                let row = first + bits.trailing_zeros();
                if row as usize >= self.rows {
                    let what = format!(
                        "row {row} among the rows with a gradient of `{}`, which has {} rows",
                        self.name, self.rows
                    );
                    return Err(Error::Invalid { rank, what });
                }
                self.active.push(row);
                bits &= bits - 1;
            }
        }
        Ok(())
    }

    /// The rows that travel in this step, ascending.
    pub fn active(&self) -> &[u32] {
        &self.active
    }
}

/// Number of words in which ranks mark the rows of `tensor`: one bit per row if its gradient is sparse.
pub fn bitmap_words(tensor: &Tensor) -> usize {
    if tensor.sparse_rows { tensor.shape.first().map_or(0, |rows| rows.div_ceil(WORD)) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 70 rows of 3 elements, from element 5 of the bucket on.
    fn table() -> SparseTensor {
        let tensor =
            Tensor { number: 0, range: 5..215, shape: vec![70, 3], sparse_rows: true, row_scales: false };
        let dense = Tensor { sparse_rows: false, ..tensor.clone() };
        let mut sparse = SparseTensor::of(&[dense, tensor], |_| "embedding/weight".into());
        assert_eq!((sparse.len(), sparse[0].place, sparse[0].words()), (1, 1, 3));
        sparse.remove(0)
    }

    #[test]
    fn rows_that_are_marked_are_those_that_are_listed() {
        let mut table = table();
        for rows in [vec![], vec![0], vec![31, 32, 63, 64, 69], (0..70).collect()] {
            let mut gradients = vec![1.0; 300];
            gradients[5..215].fill(0.0);
            for row in &rows {
                gradients[5 + 3 * *row as usize + 2] = if row % 2 == 0 { f32::NAN } else { -0.0 };
            }
            let mut bitmap = [u32::MAX; 3];
            table.mark(&gradients, &mut bitmap);
            table.collect(0, &bitmap).unwrap();
            assert_eq!(table.active(), rows);
        }
    }

    #[test]
    fn a_row_that_does_not_exist_is_refused() {
        for (row, bits) in [(70, 1 << 6), (95, 1 << 31), (70, u32::MAX << 6)] {
            let refused = table().collect(2, &[0, 0, bits]).unwrap_err().to_string();
            let begin = format!(
                "rank 2 received row {row} among the rows with a gradient of `embedding/weight`, which has 70"
            );
            assert!(refused.starts_with(&begin), "{refused}");
        }
    }
}
