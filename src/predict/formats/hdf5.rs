//! HDF5 files.

use std::fs::File;
use std::io::Seek;

use hdf5::types::VarLenUnicode;

use super::{Format, Table};
use crate::Kind;
use ternflock_base::io::read_start;
use ternflock_checkpoint::in_memory;

/// A file with one dataset per field: `[N]`, or `[N, K]` for K values; int64 or float32. The dataset `input` has the files
/// as texts in UTF-8 (bytes that are not are replaced), and the number of an item in its file is in a dataset with the name
/// of the unit, -1 if the file is one item.
/// If classes have names, they are in `class_names` by number.
pub struct Hdf5;

impl Format for Hdf5 {
    fn extension(&self) -> &'static str {
        "h5"
    }

    fn described(&self) -> &'static str {
        "an HDF5 file"
    }

    fn encode(&self, table: &Table) -> Result<Vec<u8>, String> {
        let mut image: File = in_memory(0, |file| contents(file, table))?;
        let bytes = image.rewind().and_then(|()| read_start(&image, u64::MAX));
        bytes.map_err(|error| error.to_string())
    }
}

fn contents(file: &hdf5::File, table: &Table) -> hdf5::Result<()> {
    let count = table.items.len();
    let text = |text: &str| {
        let text: Result<VarLenUnicode, _> = text.parse();
        text.map_err(|error| hdf5::Error::Internal(error.to_string()))
    };
    let paths = table.items.iter().map(|item| text(&item.path.to_string_lossy()));
    write(file, "input", &[count], &paths.collect::<hdf5::Result<Vec<_>>>()?)?;
    if !table.class_names.is_empty() {
        let names = table.class_names.iter().map(|name| text(name)).collect::<hdf5::Result<Vec<_>>>()?;
        write(file, "class_names", &[names.len()], &names)?;
    }
    let numbers = table.items.iter().map(|item| item.number.map_or(-1, |number| number as i64));
    write(file, table.unit, &[count], &numbers.collect::<Vec<i64>>())?;
    for (number, field) in table.fields.iter().enumerate() {
        let shape = if field.width == 1 { vec![count] } else { vec![count, field.width] };
        let values = table.column(number).flatten();
        match field.kind {
            Kind::Count | Kind::Class => {
                write(file, field.name, &shape, &values.map(|&value| value as i64).collect::<Vec<_>>())?
            }
            Kind::Real => write(file, field.name, &shape, &values.copied().collect::<Vec<f32>>())?,
        }
    }
    Ok(())
}

fn write<T: hdf5::H5Type>(file: &hdf5::File, name: &str, shape: &[usize], values: &[T]) -> hdf5::Result<()> {
    let dataset = file.new_dataset::<T>().shape(shape).create(name)?;
    if values.is_empty() { Ok(()) } else { dataset.write_raw(values) }
}
