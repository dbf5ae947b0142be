//! Arrays in NumPy and HDF5 files.

use std::path::{Path, PathBuf};

use super::{Inputs, Reading, Stored, Unit};
use ternflock_base::error::{Error, Result};
use ternflock_data::ArrayInputs;
use ternflock_nn::Shape;

/// An array whose first dimension is N.
pub struct ArrayFile {
    path: PathBuf,
    shape: Shape,
    inputs: ArrayInputs,
}

impl ArrayFile {
    /// Opens the array at `path`, a NumPy file, `file.npz:array` or `file.h5:/dataset`.
    ///
    /// # Errors
    /// If there is no such array, or if its samples have another shape than those that `how` reads.
    pub fn open(path: &Path, how: &Reading) -> Result<ArrayFile> {
        let inputs = ArrayInputs::open(path, how.axes, how.shape)?;
        Ok(ArrayFile { path: path.into(), shape: how.shape, inputs })
    }
}

impl Inputs for ArrayFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn samples(&self) -> usize {
        self.inputs.samples()
    }

    fn read(&self, number: usize, sample: &mut Stored) -> std::result::Result<(), String> {
        sample.shape = self.shape;
        sample.unit = match () {
            () if self.inputs.is_image_of_bytes() => Unit::Byte,
            () if self.inputs.is_integer() => Unit::Whole,
            () => Unit::Real,
        };
        sample.values.resize(self.shape.elements(), 0.0);
        self.inputs.read(number, &mut sample.values).map_err(|error| match error {
            // The file is named by the caller.
            Error::Data { message, .. } => message,
            other => other.to_string(),
        })
    }
}
