//! The interface to a file format of arrays.

use std::path::Path;

use super::element::Element;
use ternflock_base::error::Result;

/// An array of numbers in a file. Its first dimension counts rows, which are read by their number. Reading must be
/// possible from several threads at a time.
pub trait Array: Send + Sync {
    /// The length of each dimension. There is at least one, and their product does not overflow.
    fn shape(&self) -> &[usize];

    /// The type of its numbers.
    fn element(&self) -> Element;

    /// Reads rows from number `first` on, as many as `out` holds.
    ///
    /// # Errors
    /// If the file cannot be read.
    fn floats(&self, first: usize, out: &mut [f32]) -> Result<()>;

    /// The same for an array of integers.
    ///
    /// # Errors
    /// Also if a number has more than 63 bits, or if the numbers are not integers.
    fn integers(&self, first: usize, out: &mut [i64]) -> Result<()>;

    /// The file, for messages.
    fn path(&self) -> &Path;

    /// N, the number of rows.
    fn rows(&self) -> usize {
        self.shape()[0]
    }

    /// The number of values of a row.
    fn row_size(&self) -> usize {
        self.shape()[1..].iter().product()
    }
}
