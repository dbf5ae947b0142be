//! Tables in CSV files.

use std::path::{Path, PathBuf};

use super::{Inputs, Stored, Unit};
use ternflock_base::error::Result;
use ternflock_data::{TableInputs, TableReading};
use ternflock_nn::Shape;

/// The rows of a table, or windows over them.
pub struct TableFile {
    path: PathBuf,
    shape: Shape,
    inputs: TableInputs,
}

impl TableFile {
    /// Reads the table at `path` as `how` says, for samples of `shape`.
    ///
    /// # Errors
    /// Those of [`TableInputs::open`].
    pub fn open(path: &Path, how: &TableReading, shape: Shape) -> Result<TableFile> {
        Ok(TableFile { path: path.into(), shape, inputs: TableInputs::open(path, how)? })
    }
}

impl Inputs for TableFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn samples(&self) -> usize {
        self.inputs.samples()
    }

    fn read(&self, number: usize, sample: &mut Stored) -> std::result::Result<(), String> {
        (sample.shape, sample.unit) = (self.shape, Unit::Real);
        sample.values.resize(self.shape.elements(), 0.0);
        self.inputs.read(number, &mut sample.values)
    }
}
