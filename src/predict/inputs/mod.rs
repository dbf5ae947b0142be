//! Samples without targets, in files of several formats. A new format is a type that implements [`Inputs`], and a line in
//! [`Collection::open`].

mod array;
mod collection;
mod idx;
mod picture;
mod table;

pub use collection::{Collection, file_of};

use std::path::Path;

use ternflock_data::{Fit, TableReading};
use ternflock_job::Axes;
use ternflock_nn::Shape;

/// A sample as it is in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its shape.
    pub shape: Shape,
    /// What 1.0 of the network's input is in the file.
    pub unit: Unit,
    /// Its values: `[C, H, W]`, `[T, D]` or `[D]`.
    pub values: Vec<f32>,
}

impl Default for Stored {
    fn default() -> Stored {
        Stored { shape: Shape::Vector { features: 0 }, unit: Unit::Real, values: Vec::new() }
    }
}

/// How files are read for a network.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The shape of a sample in a file.
    pub shape: Shape,
    /// How pictures get their size; `None`: pictures of another size are refused.
    pub fit: Option<Fit>,
    /// The meaning of the dimensions of an array; `None`: their number decides.
    pub axes: Option<Axes>,
    /// How tables are read; `None`: the network was not trained on a table.
    pub table: Option<TableReading<'a>>,
}

/// The unit of the values in a file, before mean and standard deviation are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a picture: 255 is 1.0.
    Byte,
    /// Whole numbers as in the training data: their full scale is 1.0.
    Whole,
    /// Numbers in units of the full scale.
    Real,
}

/// The samples of a file. Reading must be possible from several threads at a time.
pub trait Inputs: Send + Sync {
    /// The file.
    fn path(&self) -> &Path;

    /// N, the number of samples.
    fn samples(&self) -> usize;

    /// Whether the file is one sample, which then has no number.
    fn is_single(&self) -> bool {
        false
    }

    /// Reads sample `number`.
    ///
    /// # Errors
    /// With the reason, which does not name the file.
    fn read(&self, number: usize, sample: &mut Stored) -> Result<(), String>;
}
