//! The elements of a payload's tensors that travel in a step.

use std::ops::Range;

use ternflock_collectives::codec::Rows;

use super::Tensor;

/// Tensors of which all elements travel, or those of some rows.
#[derive(Debug)]
pub struct Travelling {
    tensors: Vec<Tensor>,
    /// By tensor: for a gradient with sparse rows, the rows that travel in this step. There is room for all.
    rows: Vec<Option<Vec<u32>>>,
}

impl Travelling {
    /// `tensors`, with all rows.
    pub fn new(tensors: Vec<Tensor>) -> Travelling {
        let all = |tensor: &Tensor| {
            tensor.sparse_rows.then(|| (0..tensor.shape.first().map_or(0, |rows| *rows as u32)).collect())
        };
        Travelling { rows: tensors.iter().map(all).collect(), tensors }
    }

    /// The tensors.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Whether some tensor may travel in part.
    pub fn is_sparse(&self) -> bool {
        self.rows.iter().any(Option::is_some)
    }

    /// From now on the rows `ids` of the tensor at `place` travel. No effect on a tensor without sparse rows.
    pub fn set_rows(&mut self, place: usize, ids: &[u32]) {
        if let Some(Some(rows)) = self.rows.get_mut(place) {
            rows.clear();
            rows.extend_from_slice(ids);
        }
    }

    /// The rows of the tensor at `place` that travel; `None` if all elements do.
    pub fn rows(&self, place: usize) -> Option<Rows<'_>> {
        let ids = self.rows[place].as_deref()?;
        Some(Rows { width: self.tensors[place].row(), ids })
    }

    /// By tensor, the number of elements that travel.
    pub fn elements(&self) -> impl Iterator<Item = usize> {
        (0..self.tensors.len()).map(|place| match self.rows(place) {
            Some(rows) => rows.elements(),
            None => self.tensors[place].range.len(),
        })
    }

    /// By tensor, the number of elements that travel if `most` rows of each tensor with sparse rows do.
    pub fn most_elements(&self, most: usize) -> impl Iterator<Item = usize> {
        self.tensors.iter().map(move |tensor| match tensor.sparse_rows {
            true => tensor.range.len().min(tensor.row().saturating_mul(most)),
            false => tensor.range.len(),
        })
    }

    /// The places of all elements that travel among the gradients of the bucket, in order.
    pub fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        self.tensors.iter().enumerate().flat_map(|(place, Tensor { range, .. })| {
            let rows = self.rows(place);
            let all = rows.is_none().then(|| range.clone());
            let some = rows.into_iter().flat_map(|rows| rows.runs());
            all.into_iter().chain(some.map(|run| range.start + run.start..range.start + run.end))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_rows_that_travel() {
        let tensor = |number, range: Range<usize>, sparse_rows| Tensor {
            number,
            shape: vec![range.len() / 2, 2],
            range,
            sparse_rows,
            row_scales: false,
        };
        let mut tensors = Travelling::new(vec![tensor(4, 10..20, true), tensor(5, 30..34, false)]);
        assert!(tensors.is_sparse());
        assert_eq!(tensors.runs().collect::<Vec<_>>(), [10..20, 30..34]);
        tensors.set_rows(0, &[0, 3, 4]);
        tensors.set_rows(1, &[0]);
        assert_eq!(tensors.runs().collect::<Vec<_>>(), [10..12, 16..20, 30..34]);
        assert_eq!(tensors.elements().collect::<Vec<_>>(), [6, 4]);
        assert_eq!(tensors.most_elements(3).collect::<Vec<_>>(), [6, 4]);
        assert_eq!(tensors.most_elements(usize::MAX).collect::<Vec<_>>(), [10, 4]);
        tensors.set_rows(0, &[]);
        assert!(tensors.runs().eq(std::iter::once(30..34)));
    }
}
