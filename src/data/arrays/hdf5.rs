//! Arrays in HDF5 files, read by hyperslabs with the HDF5 library. The library reads one row at a time: threads that read
//! from any file wait for each other.
//!
//! The library trusts the files that it reads (docs/adr/0022-checkpoints-are-not-trusted.md): unlike a checkpoint, a
//! damaged data file can end the program.

mod listing;

use std::path::{Path, PathBuf};

pub use listing::names;

use ::hdf5::dataset::Layout;
use ::hdf5::types::{TypeDescriptor, VarLenUnicode};
use ::hdf5::{Dataset, File, Group, H5Type, Hyperslab, LinkType, SliceOrIndex};
use ndarray::IxDyn;

use super::array::Array;
use super::element::Element;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::open_regular;
use ternflock_base::suggest::suggest;

/// The memory for decompressed chunks of a dataset, and the number of its slots: a prime about a hundred times the chunks.
const CACHE_BYTES: usize = 16 << 20;
const CACHE_SLOTS: usize = 12_421;

/// The dataset with the names of classes.
const CLASS_NAMES: &str = "class_names";

/// A dataset of numbers in an HDF5 file.
pub struct Hdf5 {
    /// The file and the path within it, as the job names them.
    name: PathBuf,
    dataset: Dataset,
    shape: Vec<usize>,
    element: Element,
}

impl Hdf5 {
    /// Opens the dataset that `name` says, such as `file.h5:/group/dataset`. A relative file name starts from `directory`.
    ///
    /// # Errors
    /// If there is no such file or dataset, if the dataset is not in that file alone, or if it does not hold numbers.
    pub fn open(name: &str, directory: Option<&Path>) -> Result<Hdf5> {
        let (file, inside) =
            name.rsplit_once(":/").filter(|(file, _)| !file.is_empty()).ok_or_else(|| {
                Error::Usage(format!(
                    "`{name}` must name a file and a dataset in it, such as `file.h5:/inputs`"
                ))
            })?;
        let path = directory.map_or_else(|| file.into(), |directory| directory.join(file));
        let named = PathBuf::from(format!("{}:/{inside}", path.display()));
        let failed = |message: String| Error::data(&named, message);
        let file = open_file(&path)?;
        let dataset = find(&file, inside).map_err(failed)?;
        if dataset.filename() != file.filename() {
            return Err(failed(format!("is a link to {}: name that file", dataset.filename())));
        }
        let created = dataset.create_plist().map_err(|error| failed(reason(&error)))?;
        if dataset.layout() == Layout::Virtual || !created.external().is_empty() {
            return Err(failed(
                "has its values in other files (virtual or external): name those files".into(),
            ));
        }
        let element = element(&dataset).map_err(failed)?;
        let shape = dataset.shape();
        if shape.is_empty() {
            return Err(failed(
                "holds a single number; the first dimension must be the number of samples".into(),
            ));
        }
        let bytes = shape.iter().try_fold(8usize, |bytes, &length| bytes.checked_mul(length));
        if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(failed(format!("states an impossible shape, {shape:?}")));
        }
        Ok(Hdf5 { name: named, dataset, shape, element })
    }

    /// Reads rows from number `first` on to `out`, by way of numbers of the type `T`.
    fn read<T: H5Type, U>(&self, first: usize, out: &mut [U], convert: impl Fn(&T) -> U) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let rows = out.len() / self.row_size();
        let mut slices: Vec<SliceOrIndex> = vec![(first..first + rows).into()];
        slices.resize(self.shape.len(), (..).into());
        let read = self.dataset.as_reader().read_slice::<T, _, IxDyn>(Hyperslab::from(slices));
        let values = read.map_err(|error| {
            Error::data(&self.name, format!("rows from {first} on cannot be read: {}", reason(&error)))
        })?;
        out.iter_mut().zip(&values).for_each(|(out, value)| *out = convert(value));
        Ok(())
    }
}

/// Opens the file at `path` for reading.
fn open_file(path: &Path) -> Result<File> {
    // The library would wait for a named pipe.
    open_regular(path).map_err(|error| Error::data(path, format!("cannot be read: {error}")))?;
    File::with_options()
        .with_fapl(|access| access.chunk_cache(CACHE_SLOTS, CACHE_BYTES, 0.75))
        .open(path)
        .map_err(|error| Error::data(path, format!("cannot be opened: {}", reason(&error))))
}

impl Array for Hdf5 {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn element(&self) -> Element {
        self.element
    }

    fn floats(&self, first: usize, out: &mut [f32]) -> Result<()> {
        match self.element {
            Element::Bool => self.read(first, out, |&value: &bool| f32::from(u8::from(value))),
            _ => self.read(first, out, |&value: &f32| value),
        }
    }

    fn integers(&self, first: usize, out: &mut [i64]) -> Result<()> {
        match self.element {
            Element::Bool => self.read(first, out, |&value: &bool| i64::from(value)),
            // The library converts larger numbers to the largest one, which is no label.
            _ => self.read(first, out, |&value: &i64| value),
        }
    }

    fn path(&self) -> &Path {
        &self.name
    }
}

/// The names in the dataset `class_names` of the file with the dataset that `name` says, as `ternflock data import` writes
/// them; empty if the file has none.
///
/// # Errors
/// If they cannot be read.
pub fn class_names(name: &str, directory: Option<&Path>) -> Result<Vec<String>> {
    let file = name.rsplit_once(":/").map_or(name, |(file, _)| file);
    let path = directory.map_or_else(|| file.into(), |directory| directory.join(file));
    let failed = |error: ::hdf5::Error| {
        Error::data(&path, format!("its names of classes cannot be read: {}", reason(&error)))
    };
    let file = open_file(&path)?;
    if check_link(&file, CLASS_NAMES).is_err() {
        return Ok(Vec::new());
    }
    let names = file.dataset(CLASS_NAMES).and_then(|names| names.read_raw::<VarLenUnicode>());
    names.map(|names| names.iter().map(ToString::to_string).collect()).map_err(failed)
}

/// The dataset at the path `inside` of `file`. An `Err` has the reason why there is none.
fn find(file: &File, inside: &str) -> std::result::Result<Dataset, String> {
    let mut group: Group = (**file).clone();
    let parts: Vec<&str> = inside.split('/').filter(|part| !part.is_empty()).collect();
    let (last, groups) = parts.split_last().ok_or("names no dataset, only the file")?;
    for part in groups {
        check_link(&group, part)?;
        group = group.group(part).map_err(|_| format!("`{part}` is not a group"))?;
    }
    check_link(&group, last)?;
    group.dataset(last).map_err(|error| match group.group(last) {
        Ok(inner) => {
            let names = inner.member_names().unwrap_or_default();
            format!("is a group, not a dataset; it holds {}", names.join(", "))
        }
        Err(_) => format!("cannot be opened: {}", reason(&error)),
    })
}

/// Refuses a `part` of a path that is not in `group`, or that leads to another file.
fn check_link(group: &Group, part: &str) -> std::result::Result<(), String> {
    let mut names = Vec::new();
    let mut found = None;
    let visited = group.iter_visit_default(|name, info| {
        match name == part {
            true => found = Some(info.link_type),
            false => names.push(name.to_owned()),
        }
        Ok(())
    });
    visited.map_err(|error| format!("`{}` cannot be listed: {}", group.name(), reason(&error)))?;
    match found {
        Some(LinkType::External) => Err(format!("`{part}` is a link to another file: name that file")),
        Some(LinkType::Hard | LinkType::Soft) => Ok(()),
        None if names.is_empty() => Err(format!("`{}` is empty: it has no `{part}`", group.name())),
        None => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Err(format!("`{}` has no `{part}`; {}", group.name(), suggest(part, &names)))
        }
    }
}

/// The type of the numbers in `dataset`.
fn element(dataset: &Dataset) -> std::result::Result<Element, String> {
    let stored = dataset.dtype().map_err(|error| reason(&error))?;
    let refused = |what: &str| format!("holds {what}, not numbers; save an array of integers or floats");
    match stored.to_descriptor() {
        Ok(TypeDescriptor::Integer(size)) => Ok(Element::Signed(size as usize)),
        Ok(TypeDescriptor::Unsigned(size)) => Ok(Element::Unsigned(size as usize)),
        Ok(TypeDescriptor::Float(size)) => Ok(Element::Float(size as usize)),
        Ok(TypeDescriptor::Boolean) => Ok(Element::Bool),
        Ok(TypeDescriptor::Compound(_)) => Err(refused("records with several fields (compound)")),
        Ok(TypeDescriptor::Enum(_)) => Err(refused("names (enumeration)")),
        Ok(
            TypeDescriptor::FixedAscii(_)
            | TypeDescriptor::FixedUnicode(_)
            | TypeDescriptor::VarLenAscii
            | TypeDescriptor::VarLenUnicode,
        ) => Err(refused("texts")),
        Ok(_) => Err(refused("arrays of variable length, references or other elements")),
        // Half precision has no name in the wrapper, but the library converts it.
        Err(_) => match stored.size() == 2 && stored.conv_to::<f32>().is_some() {
            true => Ok(Element::Float(2)),
            false => Err(refused("elements of an unknown type")),
        },
    }
}

/// The library's message for `error`, without its stack.
fn reason(error: &::hdf5::Error) -> String {
    let text = error.to_string();
    match text.contains("unable to lock file") {
        true => format!("{text}; on a file system without locks, set HDF5_USE_FILE_LOCKING=FALSE"),
        false => text,
    }
}

#[cfg(test)]
mod tests;
