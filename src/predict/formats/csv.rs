//! Tables of comma-separated values (RFC 4180, but lines end as on Unix).

use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use super::{Format, Table};
use crate::{Field, Item, Kind};

/// A table of comma-separated values with a header. A path is written as its bytes; where it has a comma, a quote or a
/// line end, it is quoted.
pub struct Csv;

impl Format for Csv {
    fn extension(&self) -> &'static str {
        "csv"
    }

    fn described(&self) -> &'static str {
        "a CSV table"
    }

    fn encode(&self, table: &Table) -> Result<Vec<u8>, String> {
        let mut out = Csv::header(table.unit, table.fields).into_bytes();
        let width: usize = table.fields.iter().map(|field| field.width).sum();
        for (item, values) in table.items.iter().zip(table.values.chunks_exact(width.max(1))) {
            Csv::row(item, table.fields, table.class_names, values, &mut out);
        }
        Ok(out)
    }
}

impl Csv {
    /// The line with the names of the columns: the file, the number of the item in it, and the fields. Fields of equal width
    /// alternate, so that a class is next to its probability.
    pub fn header(unit: &str, fields: &[Field]) -> String {
        let mut out = format!("input,{unit}");
        for (field, number) in order(fields) {
            out += &match field.width {
                1 => format!(",{}", field.name),
                _ => format!(",{}_{}", field.name, number + 1),
            };
        }
        out.push('\n');
        out
    }

    /// Appends the line of `item`, whose row is `values`, to `out`. A class is called by its name in `class_names`, if it has
    /// one.
    pub fn row(item: &Item, fields: &[Field], class_names: &[String], values: &[f32], out: &mut Vec<u8>) {
        quoted(item.path.as_os_str().as_bytes(), out);
        out.push(b',');
        // Writing to memory does not fail.
        let _ = item.number.map(|number| write!(out, "{number}"));
        let firsts: Vec<usize> = fields
            .iter()
            .scan(0, |end, field| {
                *end += field.width;
                Some(*end - field.width)
            })
            .collect();
        for (field, number) in order(fields) {
            let at = fields.iter().position(|other| other == field).unwrap_or_default();
            let value = values[firsts[at] + number];
            match class_names.get(value as usize).filter(|_| field.kind == Kind::Class) {
                Some(name) => {
                    out.push(b',');
                    quoted(name.as_bytes(), out);
                }
                // The shortest text that is read back as the same number.
                None => _ = write!(out, ",{value}"),
            }
        }
        out.push(b'\n');
    }
}

/// The columns of `fields` in their order: a field and the number of the value in it.
fn order(fields: &[Field]) -> impl Iterator<Item = (&Field, usize)> {
    let most = fields.iter().map(|field| field.width).max().unwrap_or(0);
    let of = move |number| {
        fields.iter().filter(move |field| number < field.width).map(move |field| (field, number))
    };
    (0..most).flat_map(of)
}

/// Appends `text` to `out`, between quotes if it needs them.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    if !text.iter().any(|byte| b",\"\r\n".contains(byte)) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for &byte in text {
        out.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
    }
    out.push(b'"');
}
