//! The columns of a layer's weight as a matrix `[N, d]` that are there, where not all are: shape-wise sparsity, stored and
//! computed as the smaller dense matrix.

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

    /// Those of `list`.
    pub fn of(list: Vec<usize>) -> Columns {
        Columns(Some(list))
    }

    /// Whether all are there.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// The list, if there is one.
    pub fn list(&self) -> Option<&[usize]> {
        self.0.as_deref()
    }

    /// How many of `all` are there.
    pub fn count(&self, all: usize) -> usize {
        self.list().map_or(all, <[usize]>::len)
    }

    /// `weight` `[N, K]` as `[N, all]`, with zeros where there is no column.
    pub fn spread<'a>(&self, weight: &'a [f32], all: usize) -> Cow<'a, [f32]> {
        let Some(list) = self.list() else { return Cow::Borrowed(weight) };
        let mut whole = vec![0.0; weight.len() / list.len() * all];
        for (row, whole) in weight.chunks_exact(list.len()).zip(whole.chunks_exact_mut(all)) {
            list.iter().zip(row).for_each(|(&column, &value)| whole[column] = value);
        }
        Cow::Owned(whole)
    }

    /// What the axis of the columns counts, where each unit of the input has `each` of them; `None` if all are there.
    pub(super) fn axis(&self, each: usize) -> Option<Axis> {
        let units = |list: &[usize]| Axis::ReadsAt(list.iter().map(|column| column / each).collect());
        self.list().map(units)
    }

    /// Refuses a list that is none of `all` columns.
    pub(super) fn check(&self, all: usize) -> Result<(), String> {
        let Some(list) = self.list() else { return Ok(()) };
        if list.is_empty() {
            return Err("columns must name at least one; leave the key out to have them all".into());
        }
        if let Some(pair) = list.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(format!("columns must ascend, but {} follows {}", pair[1], pair[0]));
        }
        match list.last() {
            Some(&last) if last >= all => Err(format!(
                "columns must be below {all}, as many as a row of its weight has, but one is {last}"
            )),
            _ => Ok(()),
        }
    }

    /// Those that are left when of the units that the layer reads, each with `each` columns, only `left` are, under
    /// their new numbers.
    pub fn of_units(&self, left: &[usize], each: usize) -> Columns {
        let renumbered = |&column: &usize| {
            let unit = left.binary_search(&(column / each)).ok()?;
            Some(unit * each + column % each)
        };
        Columns(self.list().map(|columns| columns.iter().filter_map(renumbered).collect()))
    }

    /// Those at `places` of these, which are some of `all`.
    pub fn at(&self, places: &[usize], all: usize) -> Columns {
        let columns = places.iter().map(|&place| self.list().map_or(place, |list| list[place])).collect();
        if places.len() == all { Columns::ALL } else { Columns(Some(columns)) }
    }
}
