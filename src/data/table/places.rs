//! Where the rows of a table are, for messages.

use std::path::{Path, PathBuf};

use ternflock_base::error::Error;
use ternflock_base::text::quote;

/// The file and the line of each row.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Each file, and its first row.
    files: Vec<(PathBuf, usize)>,
    /// The line of each row; the first line of a file is 1.
    lines: Vec<u64>,
}

impl Places {
    /// The next rows are in the file at `path`.
    pub fn begin(&mut self, path: &Path) {
        self.files.push((path.to_owned(), self.lines.len()));
    }

    /// Appends a row in line `line`.
    pub fn push(&mut self, line: u64) {
        self.lines.push(line);
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The line of row `row`.
    pub fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    /// The row after the last one of each file.
    pub fn ends(&self) -> Vec<usize> {
        let next = self.files.iter().skip(1).map(|(_, first)| *first);
        next.chain([self.len()]).collect()
    }

    /// An error about the cell of `column` in row `row`.
    pub fn error(&self, row: usize, column: &str, problem: &str) -> Error {
        let file = self.files.iter().rev().find(|(_, first)| *first <= row);
        let path = file.map_or_else(PathBuf::new, |(path, _)| path.clone());
        Error::data(path, format!("line {}, column `{}`: {problem}", self.lines[row], quote(column)))
    }
}
