//! The arrays in a file, and facts about those that may be targets: for programs that look at data before there is a job.

use std::collections::HashSet;
use std::path::Path;

use super::{hdf5, npz, open_array};
use ternflock_base::error::Result;

/// An array in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundArray {
    /// Its name in the file, as a job writes it: `x` in an archive, `/group/x` in an HDF5 file, and nothing in a NumPy file.
    pub name: String,
    /// The length of each dimension.
    pub shape: Vec<usize>,
    /// NumPy's name of the type of its numbers.
    pub element: String,
    /// Whether its elements are integers or booleans.
    pub is_integer: bool,
}

/// The arrays in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayListing {
    /// Those that a job can use, in the order of the file (npz) or of their names (HDF5).
    pub arrays: Vec<FoundArray>,
    /// The others, each with the reason.
    pub refused: Vec<(String, String)>,
}

/// Lists the arrays in the file `path` of the dataset called `dataset`: `npy`, `npz` or `hdf5`.
///
/// # Errors
/// If the file is not such a file; for `npy` also if its array cannot be used.
pub fn list_arrays(dataset: &str, path: &str) -> Result<ArrayListing> {
    let names = match dataset {
        "npz" => npz::names(Path::new(path))?,
        "hdf5" => hdf5::names(Path::new(path))?,
        _ => return Ok(ArrayListing { arrays: vec![found(dataset, path, "")?], refused: Vec::new() }),
    };
    let mut listing = ArrayListing::default();
    for name in names {
        match found(dataset, path, &name) {
            Ok(array) => listing.arrays.push(array),
            Err(error) => listing.refused.push((name, error.to_string())),
        }
    }
    Ok(listing)
}

/// The name by which a job calls the array `name` in the file `path`.
pub fn array_name(path: &str, name: &str) -> String {
    if name.is_empty() { path.to_owned() } else { format!("{path}:{name}") }
}

fn found(dataset: &str, path: &str, name: &str) -> Result<FoundArray> {
    let array = open_array(dataset, &array_name(path, name), None)?;
    let element = array.element();
    let (shape, is_integer) = (array.shape().to_vec(), element.is_integer());
    Ok(FoundArray { name: name.to_owned(), shape, element: element.name(), is_integer })
}

/// Facts about the numbers of an array.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueFacts {
    /// The smallest number.
    pub least: f32,
    /// The largest number.
    pub most: f32,
    /// How many different numbers there are, at most [`MOST_DISTINCT`] + 1.
    pub distinct: usize,
    /// Whether each number is 0 or 1.
    pub is_binary: bool,
}

/// The most different numbers that are counted: more are no classes of a first job.
pub const MOST_DISTINCT: usize = 1 << 16;

/// The number of values that are read at a time.
const BLOCK: usize = 1 << 16;

/// Reads the array that a job calls `name`, which is as small as targets are.
///
/// # Errors
/// If it cannot be read.
pub fn value_facts(dataset: &str, name: &str) -> Result<ValueFacts> {
    let array = open_array(dataset, name, None)?;
    let (rows, size) = (array.rows(), array.row_size().max(1));
    let mut facts =
        ValueFacts { least: f32::INFINITY, most: f32::NEG_INFINITY, distinct: 0, is_binary: true };
    let (mut seen, at_a_time) = (HashSet::new(), (BLOCK / size).max(1));
    let mut values = vec![0.0; at_a_time.min(rows) * size];
    for first in (0..rows).step_by(at_a_time) {
        let values = &mut values[..at_a_time.min(rows - first) * size];
        array.floats(first, values)?;
        for &value in values.iter() {
            (facts.least, facts.most) = (facts.least.min(value), facts.most.max(value));
            facts.is_binary &= value == 0.0 || value == 1.0;
            if seen.len() <= MOST_DISTINCT {
                seen.insert(value.to_bits());
            }
        }
    }
    facts.distinct = seen.len();
    Ok(facts)
}
