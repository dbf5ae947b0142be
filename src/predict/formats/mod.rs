//! The file formats of predictions. A new format is a type that implements [`Format`], and an entry in [`FORMATS`].

mod csv;
mod hdf5;
mod npz;

use std::path::Path;

use crate::{Field, Item};

pub use csv::Csv;
pub use hdf5::Hdf5;
pub use npz::Npz;

/// Predictions: the rows of the items that have one, in their order.
pub struct Table<'a> {
    /// The items.
    pub items: Vec<Item<'a>>,
    /// What an item is, for the name of the column with its number: "sample" or "line".
    pub unit: &'a str,
    /// The fields of a row.
    pub fields: &'a [Field],
    /// The names of the classes, by number; empty if they have none.
    pub class_names: &'a [String],
    /// The values, row by row.
    pub values: Vec<f32>,
}

impl Table<'_> {
    /// The values of field `number` in all rows, with its place in a row.
    fn column(&self, number: usize) -> impl Iterator<Item = &[f32]> {
        let (before, rest) = self.fields.split_at(number);
        let first: usize = before.iter().map(|field| field.width).sum();
        let width: usize = self.fields.iter().map(|field| field.width).sum();
        self.values.chunks_exact(width.max(1)).map(move |row| &row[first..][..rest[0].width])
    }
}

/// A file format.
pub trait Format: Sync {
    /// The extension of its files.
    fn extension(&self) -> &'static str;

    /// What it is, for messages: "a CSV table".
    fn described(&self) -> &'static str;

    /// The content of a file.
    ///
    /// # Errors
    /// With the reason, if the format cannot hold the table.
    fn encode(&self, table: &Table) -> Result<Vec<u8>, String>;
}

/// All formats.
pub const FORMATS: &[&dyn Format] = &[&Csv, &Npz, &Hdf5];

/// The format of the file at `path`, by its extension.
pub fn of_path(path: &Path) -> Option<&'static dyn Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    FORMATS.iter().copied().find(|format| format.extension() == extension)
}

#[cfg(test)]
mod tests;
