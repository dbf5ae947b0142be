//! The places of the elements of groups.

use std::ops::Range;

use super::super::units::UnitAxis;
use ternflock_nn::Parameters;
use ternflock_tensor::{add_scaled, vectorise};

/// A group's view of a tensor or of one of its axes: `[outer, places, inner]`, where each place belongs to one group or
/// to none.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The tensor's number in the table.
    pub tensor: usize,
    /// The range in the flat vector: the entire tensor, or the filters of one group of a convolution.
    pub range: Range<usize>,
    /// Adjacent elements of one place.
    pub inner: usize,
    /// The group of each place, [`NONE`] for none.
    pub group_of: Vec<u32>,
}

/// No group.
pub const NONE: u32 = u32::MAX;

impl View {
    /// A view along `axis`.
    pub(super) fn new(parameters: &Parameters, axis: &UnitAxis, group_of: Vec<u32>) -> View {
        let tensor = &parameters.table[axis.tensor];
        let inner = tensor.spec.shape[axis.axis + 1..].iter().product();
        View { tensor: axis.tensor, range: tensor.range.clone(), inner, group_of }
    }

    /// The group of the element at `place` of the view.
    pub fn group_at(&self, place: usize) -> u32 {
        self.group_of[place / self.inner % self.group_of.len()]
    }

    /// The groups of adjacent single elements, in order; whole rows can then be processed at once.
    fn row(&self) -> Option<Range<usize>> {
        let first = *self.group_of.first()?;
        let is_row = self.inner == 1 && self.group_of.iter().zip(first..).all(|(&group, next)| group == next);
        (is_row && first != NONE).then(|| first as usize..first as usize + self.group_of.len())
    }

    /// Adjacent elements, and their group.
    pub fn runs<'a>(&'a self, values: &'a [f32]) -> impl Iterator<Item = (&'a [f32], &'a u32)> {
        values[self.range.clone()].chunks_exact(self.inner).zip(self.group_of.iter().cycle())
    }

    /// Adds the squares of its elements to those of their groups.
    pub fn add_squares(&self, values: &[f32], squares: &mut [f64]) {
        if let Some(groups) = self.row() {
            let rows = values[self.range.clone()].chunks_exact(groups.len());
            return rows.for_each(|row| add_squares(row, &mut squares[groups.clone()]));
        }
        for (run, &group) in self.runs(values).filter(|(_, group)| **group != NONE) {
            squares[group as usize] += sum_of_squares(run);
        }
    }

    /// `sums += factor values`, with the factor of each element's group.
    pub fn add_scaled(&self, factors: &[f32], values: &[f32], sums: &mut [f32]) {
        let sums = &mut sums[self.range.clone()];
        if let Some(groups) = self.row() {
            let values = values[self.range.clone()].chunks_exact(groups.len());
            let rows = sums.chunks_exact_mut(groups.len()).zip(values);
            return rows.for_each(|(sums, values)| add_products(&factors[groups.clone()], values, sums));
        }
        for (sums, (values, &group)) in sums.chunks_exact_mut(self.inner).zip(self.runs(values)) {
            match (group, sums, values) {
                (NONE, ..) => (),
                (group, [sum], [value]) => *sum += factors[group as usize] * value,
                (group, sums, values) => add_scaled(factors[group as usize], values, sums),
            }
        }
    }

    /// `values *= factor`, with the factor of each element's group.
    pub fn scale(&self, factors: &[f32], values: &mut [f32]) {
        let values = &mut values[self.range.clone()];
        if let Some(groups) = self.row() {
            let rows = values.chunks_exact_mut(groups.len());
            return rows.for_each(|row| multiply(&factors[groups.clone()], row));
        }
        let runs = values.chunks_exact_mut(self.inner);
        for (run, &group) in runs.zip(self.group_of.iter().cycle()).filter(|(_, group)| **group != NONE) {
            run.iter_mut().for_each(|value| *value *= factors[group as usize]);
        }
    }
}

/// `squares += values²`, element by element.
fn add_squares(values: &[f32], squares: &mut [f64]) {
    vectorise(
        #[inline(always)]
        || {
            for (square, &value) in squares.iter_mut().zip(values) {
                *square += f64::from(value) * f64::from(value);
            }
        },
    );
}

/// `sums += factors values`, element by element.
fn add_products(factors: &[f32], values: &[f32], sums: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || {
            for ((sum, &value), &factor) in sums.iter_mut().zip(values).zip(factors) {
                *sum += factor * value;
            }
        },
    );
}

/// `values *= factors`, element by element.
fn multiply(factors: &[f32], values: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || {
            for (value, &factor) in values.iter_mut().zip(factors) {
                *value *= factor;
            }
        },
    );
}

/// Sums the squares of `values` in eight partial sums that are added at the end, an order that depends only
/// on the length.
fn sum_of_squares(values: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    vectorise(
        #[inline(always)]
        || blocks.iter().for_each(|block| add_eight(block, &mut sums)),
    );
    let rest: f64 = rest.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    sums.iter().sum::<f64>() + rest
}

#[inline(always)]
fn add_eight(values: &[f32; 8], sums: &mut [f64; 8]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += f64::from(value) * f64::from(value);
    }
}
