//! Facts about all columns of a CSV file: for programs that look at data before there is a job.

use std::collections::HashSet;
use std::path::Path;

use csv::ByteRecord;
use xxhash_rust::xxh3::xxh3_64;

use super::cell::{Cell, LARGEST_EXACT, cell};
use super::read::{header, open, read_error};
use ternflock_base::error::Result;

/// The characters that may be between two cells.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// The most different cells of a column that are counted: of texts, and while there are only numbers.
const MOST_DISTINCT: usize = 1 << 16;
const MOST_DISTINCT_NUMBERS: usize = 1 << 10;

/// Facts about a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableFacts {
    /// The number of rows below the names of the columns.
    pub rows: usize,
    /// The columns, from left to right.
    pub columns: Vec<ColumnFacts>,
}

/// Facts about the cells of a column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// The number of cells that are numbers.
    pub numbers: usize,
    /// The number of cells that are other text.
    pub texts: usize,
    /// The number of cells without a value.
    pub missing: usize,
    /// The line of the first cell without a value.
    pub first_missing: Option<u64>,
    /// How many different values there are, at most 65,537; of numbers, at most 1,025.
    pub distinct: usize,
    /// Whether all numbers are whole.
    pub is_whole: bool,
    /// Whether each number is one more than the number above it, as those of rows.
    pub counts_rows: bool,
    /// The smallest number and the largest.
    pub range: Option<[f32; 2]>,
    /// The number in the row before.
    last: Option<f32>,
}

impl ColumnFacts {
    fn new(name: String) -> ColumnFacts {
        ColumnFacts { name, is_whole: true, counts_rows: true, ..ColumnFacts::default() }
    }

    fn add(&mut self, cell: Cell, line: u64) {
        match cell {
            Cell::Missing => {
                self.missing += 1;
                self.first_missing.get_or_insert(line);
                self.counts_rows = false;
            }
            Cell::Number(number) => {
                self.numbers += 1;
                self.is_whole &= number.fract() == 0.0;
                // Larger numbers and their successors may be the same in single precision.
                let follows = |last| number == last + 1.0 && number.abs() < LARGEST_EXACT;
                self.counts_rows &= self.last.is_none_or(follows);
                self.last = Some(number);
                let [least, most] = self.range.unwrap_or([number; 2]);
                self.range = Some([least.min(number), most.max(number)]);
            }
            // Training refuses it, with its line.
            Cell::TooLarge => (self.numbers, self.is_whole) = (self.numbers + 1, false),
            Cell::Text(_) => self.texts += 1,
        }
    }

    /// [`ColumnFacts::distinct`] in words.
    pub fn distinct_count(&self) -> String {
        match self.distinct {
            count if count > MOST_DISTINCT => format!("more than {MOST_DISTINCT}"),
            count => count.to_string(),
        }
    }

    /// Whether its cells are numbers, apart from missing ones.
    pub fn is_number(&self) -> bool {
        self.numbers > 0 && self.texts == 0
    }

    /// Whether it holds the numbers of rows: 0, 1, 2, ...
    pub fn is_row_number(&self) -> bool {
        self.is_number() && self.counts_rows && self.is_whole && self.numbers > 2
    }
}

/// The delimiter with which the first row of the file at `path` has the most cells.
///
/// # Errors
/// If the file cannot be read or is empty.
pub fn guess_delimiter(path: &Path) -> Result<char> {
    let mut best = (DELIMITERS[0], 0);
    for delimiter in DELIMITERS {
        let cells = header(path, delimiter)?.len();
        if cells > best.1 {
            best = (delimiter, cells);
        }
    }
    Ok(best.0)
}

/// Reads the whole file at `path`.
///
/// # Errors
/// If it cannot be read, or if its rows differ in length. The message names the line.
pub fn look(path: &Path, delimiter: char) -> Result<TableFacts> {
    let (mut reader, header) = open(path, delimiter)?;
    let mut columns: Vec<ColumnFacts> = header.into_iter().map(ColumnFacts::new).collect();
    let mut seen: Vec<HashSet<u64>> = vec![HashSet::new(); columns.len()];
    let (mut record, mut rows) = (ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record).map_err(|error| read_error(path, error))? {
        let line = record.position().map_or(0, csv::Position::line);
        for ((facts, seen), bytes) in columns.iter_mut().zip(&mut seen).zip(&record) {
            let cell = cell(bytes);
            facts.add(cell, line);
            let most = if facts.texts > 0 { MOST_DISTINCT } else { MOST_DISTINCT_NUMBERS };
            if cell != Cell::Missing && seen.len() <= most {
                // 1 and 1.0 are one number, but two categories.
                seen.insert(xxh3_64(bytes.trim_ascii()));
            }
        }
        rows += 1;
    }
    for (facts, seen) in columns.iter_mut().zip(&seen) {
        facts.distinct = seen.len();
    }
    Ok(TableFacts { rows, columns })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn columns_are_counted() {
        let file = file("id;a;b;c\n1;1.5;x;\n2;NA;y;\n3;2;x;\n");
        assert_eq!(guess_delimiter(file.path()).unwrap(), ';');
        let facts = look(file.path(), ';').unwrap();
        let [id, a, b, c] = &facts.columns[..] else { panic!("{facts:?}") };
        assert_eq!(facts.rows, 3);
        assert!(id.is_row_number() && id.is_number() && !a.is_row_number());
        assert_eq!((a.numbers, a.missing, a.first_missing, a.is_whole), (2, 1, Some(3), false));
        assert_eq!((a.range, a.distinct), (Some([1.5, 2.0]), 2));
        assert_eq!((b.texts, b.distinct, b.is_number()), (3, 2, false));
        assert_eq!((c.missing, c.distinct, c.is_number()), (3, 0, false));
    }

    #[test]
    fn damaged_files_are_named() {
        let message = |text: &str| {
            let file = file(text);
            guess_delimiter(file.path())
                .and_then(|delimiter| look(file.path(), delimiter))
                .unwrap_err()
                .to_string()
        };
        assert!(message("").contains("is empty; its first row must hold the names"));
        assert!(message("a,b\n1,2\n3\n").contains("line 3 has 1 cell, but the table has 2 columns"));
    }
}
