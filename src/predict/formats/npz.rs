//! NumPy archives: a zip file of arrays in the format of
//! [NEP 1](https://numpy.org/neps/nep-0001-npy-format.html), version 1.0.

use std::io::{Cursor, Write};
use std::os::unix::ffi::OsStrExt;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Format, Table};
use crate::Kind;

/// An archive with one array per field: `[N]`, or `[N, K]` for K values; int64 or float32. The array `input` has the files
/// as bytes, and the number of an item in its file is in an array with the name of the unit, -1 if the file is one item.
/// If classes have names, they are in `class_names` by number, as UTF-8.
pub struct Npz;

impl Format for Npz {
    fn extension(&self) -> &'static str {
        "npz"
    }

    fn described(&self) -> &'static str {
        "a NumPy archive"
    }

    fn encode(&self, table: &Table) -> Result<Vec<u8>, String> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let mut put = |name: &str, content: Vec<u8>| {
            // No compression, as in `numpy.savez`, and no time stamp, so that equal tables give equal files.
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .last_modified_time(zip::DateTime::default())
                .large_file(content.len() >= 1 << 31);
            archive.start_file(format!("{name}.npy"), options).map_err(|error| error.to_string())?;
            archive.write_all(&content).map_err(|error| error.to_string())
        };
        let count = table.items.len();
        let paths: Vec<&[u8]> = table.items.iter().map(|item| item.path.as_os_str().as_bytes()).collect();
        put("input", texts(&paths)?)?;
        if !table.class_names.is_empty() {
            let names: Vec<&[u8]> = table.class_names.iter().map(|name| name.as_bytes()).collect();
            put("class_names", texts(&names)?)?;
        }
        let numbers = table.items.iter().map(|item| item.number.map_or(-1, |number| number as i64));
        put(table.unit, [header("<i8", &[count])?, numbers.flat_map(i64::to_le_bytes).collect()].concat())?;
        for (number, field) in table.fields.iter().enumerate() {
            let shape = if field.width == 1 { vec![count] } else { vec![count, field.width] };
            let values = table.column(number).flatten();
            let content = match field.kind {
                Kind::Count | Kind::Class => {
                    let bytes = values.flat_map(|&value| (value as i64).to_le_bytes());
                    [header("<i8", &shape)?, bytes.collect()].concat()
                }
                Kind::Real => {
                    let bytes = values.flat_map(|value| value.to_le_bytes());
                    [header("<f4", &shape)?, bytes.collect()].concat()
                }
            };
            put(field.name, content)?;
        }
        Ok(archive.finish().map_err(|error| error.to_string())?.into_inner())
    }
}

/// An array of `texts` as bytes of equal length, as NumPy stores them: NUL bytes at the end do not count, and paths and
/// names have none.
fn texts(texts: &[&[u8]]) -> Result<Vec<u8>, String> {
    let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0).max(1);
    let mut content = header(&format!("|S{longest}"), &[texts.len()])?;
    for text in texts {
        content.extend_from_slice(text);
        content.extend(std::iter::repeat_n(0, longest - text.len()));
    }
    Ok(content)
}

/// The header of a row-major array. It is padded so that the elements start at a multiple of 64 bytes.
fn header(descr: &str, shape: &[usize]) -> Result<Vec<u8>, String> {
    /// The magic string, the version, and the length of the text.
    const PREFIX: usize = 10;
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let padded = (PREFIX + text.len() + 1).next_multiple_of(64) - PREFIX;
    let length = u16::try_from(padded).map_err(|_| format!("{} dimensions are too many", shape.len()))?;
    text += &" ".repeat(padded - 1 - text.len());
    text.push('\n');
    Ok([b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], text.as_bytes()].concat())
}
