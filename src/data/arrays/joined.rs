//! Several arrays as one: the rows of the second follow those of the first.

use std::path::Path;

use super::array::Array;
use super::element::Element;
use ternflock_base::error::{Error, Result};

/// Arrays of equal rows, one after another.
pub(super) struct Joined {
    parts: Vec<Box<dyn Array>>,
    /// The number of rows before each part, and of all.
    starts: Vec<usize>,
}

impl Joined {
    /// All of `parts`, of which there is at least one.
    ///
    /// # Errors
    /// If their rows differ in shape, or if some are integers and others are not.
    pub fn new(parts: Vec<Box<dyn Array>>) -> Result<Joined> {
        let mut starts = vec![0];
        for part in &parts {
            let first = &parts[0];
            let message = if part.shape()[1..] != first.shape()[1..] {
                format!("has rows of shape {:?}, but those of", &part.shape()[1..])
            } else if part.element().is_integer() != first.element().is_integer() {
                format!("holds {}, but", part.element().name())
            } else {
                starts.push(starts[starts.len() - 1] + part.rows());
                continue;
            };
            let first =
                format!("{} {:?} of {}", first.path().display(), &first.shape()[1..], first.element().name());
            return Err(Error::data(part.path(), format!("{message} {first} come before it")));
        }
        Ok(Joined { parts, starts })
    }

    /// N, the number of all rows.
    pub fn rows(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    /// The shape of a row.
    pub fn row(&self) -> &[usize] {
        &self.parts[0].shape()[1..]
    }

    /// The number of values of a row.
    pub fn row_size(&self) -> usize {
        self.parts[0].row_size()
    }

    /// The type of its numbers; that of the first part if they differ in size.
    pub fn element(&self) -> Element {
        self.parts[0].element()
    }

    /// Whether all parts hold unsigned bytes.
    pub fn is_bytes(&self) -> bool {
        self.parts.iter().all(|part| part.element() == Element::Unsigned(1))
    }

    /// The first file, for messages about all of them.
    pub fn path(&self) -> &Path {
        self.parts[0].path()
    }

    /// The part that holds row `row`, and the number of the row in it.
    pub fn place(&self, row: usize) -> (&dyn Array, usize) {
        let part = self.starts.partition_point(|&start| start <= row) - 1;
        (&*self.parts[part], row - self.starts[part])
    }

    /// Reads rows from number `first` on, as many as `out` holds.
    ///
    /// # Errors
    /// Those of reading; also if a number is not finite.
    pub fn floats(&self, first: usize, out: &mut [f32]) -> Result<()> {
        self.each_part(first, out, |part, first, out| {
            part.floats(first, out)?;
            check_finite(part, first, out)
        })
    }

    /// The same for integers.
    ///
    /// # Errors
    /// Those of reading.
    pub fn integers(&self, first: usize, out: &mut [i64]) -> Result<()> {
        self.each_part(first, out, |part, first, out| part.integers(first, out))
    }

    fn each_part<T>(
        &self,
        mut first: usize,
        mut out: &mut [T],
        read: impl Fn(&dyn Array, usize, &mut [T]) -> Result<()>,
    ) -> Result<()> {
        let size = self.row_size();
        while !out.is_empty() {
            let (part, row) = self.place(first);
            let rows = (part.rows() - row).min(out.len() / size);
            let (now, rest) = out.split_at_mut(rows * size);
            read(part, row, now)?;
            (first, out) = (first + rows, rest);
        }
        Ok(())
    }
}

/// Refuses NaN and infinity in `values`, the rows of `part` from `first` on.
fn check_finite(part: &dyn Array, first: usize, values: &[f32]) -> Result<()> {
    // Without an early exit, so that the loop is vectorised.
    if values.iter().fold(true, |all, value| all & value.is_finite()) {
        return Ok(());
    }
    let at = values.iter().position(|value| !value.is_finite()).unwrap_or_default();
    let (row, mut column) = (first + at / part.row_size(), at % part.row_size());
    let mut index = Vec::new();
    for &length in part.shape()[1..].iter().rev() {
        index.insert(0, column % length);
        column /= length;
    }
    let place = match &index[..] {
        [] => format!("row {row}"),
        [column] => format!("row {row}, column {column}"),
        index => format!("row {row}, element {index:?}"),
    };
    let what = if values[at].is_nan() { "NaN" } else { "infinite in single precision" };
    let message = format!("{place} (counted from 0) is {what}: remove or replace such values");
    Err(Error::data(part.path(), message))
}
