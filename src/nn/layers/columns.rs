//! Shape-wise sparsity: the columns that a layer's weight matrix `[N, d]` has, if not all. The weight is
//! stored and computed as the smaller dense matrix.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::coupling::Axis;

/// Which of d columns a weight has: all of them, or the K of an ascending list. The tensor is then `[N, K]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Columns(Option<Vec<usize>>);

impl Columns {
    /// All of them.
    pub const ALL: Columns = Columns(None);

    /// The columns of `list`.
    pub fn of(list: Vec<usize>) -> Columns {
        Columns(Some(list))
    }

    /// Whether all columns are present.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The list, if there is one.
    pub fn list(&self) -> Option<&[usize]> {
        self.0.as_deref()
    }

    /// The number of columns that are present out of `all`.
    pub fn count(&self, all: usize) -> usize {
        self.list().map_or(all, <[usize]>::len)
    }

    /// `weight` `[N, K]` as `[N, all]`, with zeros for absent columns.
    pub fn spread<'a>(&self, weight: &'a [f32], all: usize) -> Cow<'a, [f32]> {
        let Some(list) = self.list() else { return Cow::Borrowed(weight) };
        let mut whole = vec![0.0; weight.len() / list.len() * all];
        for (row, whole) in weight.chunks_exact(list.len()).zip(whole.chunks_exact_mut(all)) {
            list.iter().zip(row).for_each(|(&column, &value)| whole[column] = value);
        }
        Cow::Owned(whole)
    }

    /// The meaning of the column axis, where each unit of the input has `each` columns; `None` if all columns
    /// are present.
    pub(super) fn axis(&self, each: usize) -> Option<Axis> {
        let units = |list: &[usize]| Axis::ReadsAt(list.iter().map(|column| column / each).collect());
        self.list().map(units)
    }

    /// Refuses a list that is not a valid choice of `all` columns.
    pub(super) fn check(&self, all: usize) -> Result<(), String> {
        let Some(list) = self.list() else { return Ok(()) };
        if list.is_empty() {
            return Err("columns must name at least one; omit the key to keep all".into());
        }
        if let Some(pair) = list.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(format!("columns must ascend, but {} follows {}", pair[1], pair[0]));
        }
        match list.last() {
            Some(&last) if last >= all => Err(format!(
                "columns must be below {all}, the number of columns of its weight, but one is {last}"
            )),
            _ => Ok(()),
        }
    }

    /// The remaining columns, under their new numbers, when only the units `left` remain of those that the
    /// layer reads, each with `each` columns.
    pub fn of_units(&self, left: &[usize], each: usize) -> Columns {
        let renumbered = |&column: &usize| {
            let unit = left.binary_search(&(column / each)).ok()?;
            Some(unit * each + column % each)
        };
        Columns(self.list().map(|columns| columns.iter().filter_map(renumbered).collect()))
    }

    /// The columns at `places` of these, which are a subset of `all`.
    pub fn at(&self, places: &[usize], all: usize) -> Columns {
        let columns = places.iter().map(|&place| self.list().map_or(place, |list| list[place])).collect();
        if places.len() == all { Columns::ALL } else { Columns(Some(columns)) }
    }
}
