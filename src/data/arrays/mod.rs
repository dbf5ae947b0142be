//! Samples in arrays of numbers: the first dimension of an array is N, the number of samples.
//!
//! - `array`: the interface to a file format, which reads rows by their number
//! - `element`: the types of numbers, and their conversion
//! - `npy`: NumPy files
//! - `npz`: archives of NumPy arrays
//! - `hdf5`: HDF5 files
//! - `joined`: several arrays, one after another
//! - `layout`: the meaning of the dimensions, and the order in which a network expects them
//! - `targets`: classes or values
//! - `samples`: inputs and targets together
//! - `inputs`: inputs alone
//! - `listing`: the arrays in a file, before there is a job

mod array;
mod element;
mod hdf5;
mod inputs;
mod joined;
mod layout;
mod listing;
mod npy;
mod npz;
mod samples;
mod targets;

pub use inputs::ArrayInputs;
pub use listing::{
    ArrayListing, FoundArray, MOST_DISTINCT, ValueFacts, array_name, list_arrays, value_facts,
};
pub use npz::is_archive;

use std::path::Path;
use std::sync::Arc;

use crate::samples::{Preparation, Samples, Sources};
use array::Array;
use joined::Joined;
use samples::ArraySamples;
use targets::Classes;
use ternflock_base::error::{Error, Result};
use ternflock_job::{self as job, ArrayFiles, TaskKind};

/// Opens the arrays `how` of the dataset called `dataset`, for a `task` of that kind. Relative paths start from `directory`.
pub(super) fn open(
    dataset: &str,
    how: &job::Arrays,
    task: Option<TaskKind>,
    directory: Option<&Path>,
) -> Result<Sources> {
    let join = |files: &ArrayFiles| {
        let parts = files.0.iter().map(|file| open_array(dataset, file, directory));
        Joined::new(parts.collect::<Result<_>>()?)
    };
    let set = |inputs: &ArrayFiles, targets: &ArrayFiles, classes: Classes| {
        // Without classes, whole numbers are values.
        let classes = Some(classes).filter(|_| !task.is_some_and(TaskKind::predicts_values));
        ArraySamples::new(join(inputs)?, join(targets)?, how.axes, classes)
    };
    let said = Classes { count: how.classes, first: how.first_label };
    let train = set(&how.inputs, &how.targets, said)?;
    // The labels of other sets must be among the classes of the training set.
    let known = Classes { count: train.classes(), first: how.first_label };
    let other = |inputs: &ArrayFiles, targets: &ArrayFiles| -> Result<Arc<dyn Samples>> {
        let other = set(inputs, targets, known)?;
        other.check_like(&train)?;
        Ok(Arc::new(other))
    };
    let validation = how.validation_files.as_ref().map(|files| other(&files.inputs, &files.targets));
    let (validation, test) = (
        validation.transpose()?,
        how.test_files.as_ref().map(|files| other(&files.inputs, &files.targets)).transpose()?,
    );
    let mut class_names = match (dataset, train.classes(), how.targets.0.first()) {
        ("hdf5", Some(_), Some(targets)) => hdf5::class_names(targets, directory)?,
        _ => Vec::new(),
    };
    if train.classes() != Some(class_names.len()) {
        // They belong to other classes.
        class_names.clear();
    }
    let preparation = Preparation { class_names, ..Preparation::default() };
    Ok(Sources { train: Arc::new(train), validation, test, preparation })
}

/// Opens the array that a job calls `name`.
fn open_array(dataset: &str, name: &str, directory: Option<&Path>) -> Result<Box<dyn Array>> {
    let path = |name: &str| directory.map_or_else(|| name.into(), |directory| directory.join(name));
    match dataset {
        "npy" => Ok(Box::new(npy::Npy::open(&path(name))?)),
        "npz" => Ok(Box::new(npz::open(name, directory)?)),
        "hdf5" => Ok(Box::new(hdf5::Hdf5::open(name, directory)?)),
        _ => Err(Error::Usage(format!("data set `{dataset}` has no arrays"))),
    }
}

#[cfg(test)]
mod tests;
