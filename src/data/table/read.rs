//! Reads the columns of CSV files.

use std::path::{Path, PathBuf};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::column::{Builder, Column, Kind};
use super::places::Places;
use crate::files::{self, Content};
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_base::text::{plural, quote};

/// Columns of tables in files, and the place of each row.
#[derive(Debug)]
pub struct Table {
    /// The columns that were wanted, in that order.
    pub columns: Vec<Column>,
    /// Where the rows are.
    pub places: Places,
}

/// A column to read: its name, and what its cells may be.
pub type Wanted = (String, Kind);

/// Reads the `wanted` columns of `paths`, whose rows follow each other.
///
/// # Errors
/// If a file cannot be read, has no row, or lacks a column, or if a cell is not what it may be. The message names the
/// file, the line and the column.
pub fn read(paths: &[PathBuf], delimiter: char, wanted: &[Wanted]) -> Result<Table> {
    let mut builders: Vec<Builder> = wanted.iter().map(|(_, kind)| Builder::new(*kind)).collect();
    let mut places = Places::default();
    for path in paths {
        let (mut reader, header) = open(path, delimiter)?;
        let at = wanted.iter().map(|(name, _)| position(path, &header, name)).collect::<Result<Vec<_>>>()?;
        let before = places.len();
        places.begin(path);
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(|error| read_error(path, error))? {
            let line = record.position().map_or(0, csv::Position::line);
            for ((builder, (name, _)), &at) in builders.iter_mut().zip(wanted).zip(&at) {
                let failed = |problem| {
                    let name = quote(name);
                    Error::data(path, format!("line {line}, column `{name}`: {problem}"))
                };
                builder.push(&record[at]).map_err(failed)?;
            }
            places.push(line);
        }
        if places.len() == before {
            return Err(Error::data(path, "has no rows below the names of the columns"));
        }
    }
    let named = builders.into_iter().zip(wanted);
    Ok(Table { columns: named.map(|(builder, (name, _))| builder.build(name.clone())).collect(), places })
}

/// The names of the columns of the file at `path`.
pub fn header(path: &Path, delimiter: char) -> Result<Vec<String>> {
    open(path, delimiter).map(|(_, header)| header)
}

/// The file at `path` below its header, and the header.
pub(super) fn open(path: &Path, delimiter: char) -> Result<(Reader<Content>, Vec<String>)> {
    let delimiter = u8::try_from(delimiter).unwrap_or(b',');
    // With this terminator, the position of a record is its line also if lines end with a carriage return, which is trimmed
    // from the last cell.
    let end = csv::Terminator::Any(b'\n');
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).terminator(end).from_reader(files::open(path)?);
    let names = reader.byte_headers().map_err(|error| read_error(path, error))?;
    let header = names.iter().enumerate().map(|(at, name)| {
        let text = std::str::from_utf8(name.trim_ascii()).map(str::to_owned);
        text.map_err(|_| Error::data(path, format!("the name of column {} is not UTF-8 text", at + 1)))
    });
    let header = header.collect::<Result<Vec<_>>>()?;
    match header.is_empty() {
        true => Err(Error::data(path, "is empty; its first row must hold the names of the columns")),
        false => Ok((reader, header)),
    }
}

/// The position of the column called `name` in the `header` of the file at `path`.
///
/// # Errors
/// If there is none, or more than one.
pub fn position(path: &Path, header: &[String], name: &str) -> Result<usize> {
    let mut found = header.iter().enumerate().filter(|(_, other)| *other == name).map(|(at, _)| at);
    let shown = quote(name);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (Some(one), Some(other)) => {
            let message = format!("columns {} and {} are both called `{shown}`", one + 1, other + 1);
            Err(Error::data(path, message))
        }
        (None, _) => {
            let names: Vec<&str> = header.iter().map(String::as_str).collect();
            Err(Error::data(path, format!("has no column `{shown}`; {}", suggest(name, &names))))
        }
    }
}

/// The error that the table at `path` could not be read.
pub(super) fn read_error(path: &Path, error: csv::Error) -> Error {
    let text = error.to_string();
    match error.into_kind() {
        ErrorKind::Io(error) => files::read_error(path, &error),
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.map_or(0, |position| position.line());
            let (cells, columns) = (plural(len as usize, "cell"), plural(expected_len as usize, "column"));
            Error::data(
                path,
                format!(
                    "line {line} has {cells}, but the table has {columns}: put cells that contain the delimiter between \
                     double quotes, or set data.delimiter"
                ),
            )
        }
        _ => Error::data(path, text),
    }
}
