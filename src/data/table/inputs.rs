//! Inputs without targets, for trained networks.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::column::Kind;
use super::encoder::Problem;
use super::encoding::{Encoding, InputColumn};
use super::read::{Table, Wanted, read};
use super::samples::{TableSamples, TableTargets};
use crate::samples::Samples;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::{plural, quote};
use ternflock_job::{Csv, Windows};
use ternflock_nn::Targets;

/// How a network reads a table.
#[derive(Clone, Copy, Debug)]
pub struct TableReading<'a> {
    /// The settings of its training table.
    pub how: &'a Csv,
    /// How its columns become inputs.
    pub encoding: &'a Encoding,
    /// How rows are cut into windows; `None`: each row is a sample.
    pub windows: Option<Windows>,
}

/// The inputs in a table: its rows, or windows over them. Of the windows, the last one ends with the table; the others
/// precede it by multiples of the stride.
pub struct TableInputs {
    table: Table,
    encoding: Encoding,
    rows: TableSamples,
    /// By row: the first column whose cell cannot be used, and why. They are put into words when a sample is read: there
    /// may be many.
    problems: HashMap<usize, (usize, Problem)>,
    /// The number of rows of a sample.
    window: usize,
    stride: usize,
    /// The first row of the first sample.
    first: usize,
    /// N.
    samples: usize,
}

impl TableInputs {
    /// Reads the inputs in the table at `path`, raw or compressed with gzip. Other columns may be missing.
    ///
    /// # Errors
    /// If the file cannot be read or lacks a column, if a cell has another kind of content than in training, or if there are
    /// fewer rows than a window has.
    pub fn open(path: &Path, reading: &TableReading) -> Result<TableInputs> {
        let TableReading { how, encoding, windows } = *reading;
        let wanted: Vec<Wanted> = encoding.inputs.iter().map(wanted).collect();
        let table = read(&[PathBuf::from(path)], how.delimiter, &wanted)?;
        let (count, columns) = (table.places.len(), Vec::from_iter(0..wanted.len()));
        let (window, stride) = windows.map_or((1, 1), |cut| (cut.window, cut.stride.max(1)));
        let Some(rest) = count.checked_sub(window) else {
            let message = format!("has {}, too few for a window of {window}", plural(count, "row"));
            return Err(Error::data(path, message));
        };
        let mut problems = HashMap::new();
        let rows = TableSamples::with_problems(
            &table,
            &columns,
            encoding,
            &Vec::from_iter(0..count),
            TableTargets::Values { values: Vec::new(), width: 0 },
            |row, column, problem| {
                problems.entry(row).or_insert((column, problem));
                Ok(())
            },
        )?;
        let (first, samples, encoding) = (rest % stride, rest / stride + 1, encoding.clone());
        Ok(TableInputs { table, encoding, rows, problems, window, stride, first, samples })
    }

    /// N, the number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Reads sample `number` to `out`: `[F]`, or `[T, F]` for windows of T rows.
    ///
    /// # Errors
    /// With the line, the column and the problem of a cell that cannot be used.
    pub fn read(&self, number: usize, out: &mut [f32]) -> std::result::Result<(), String> {
        let rows = self.rows_of(number);
        if let Some((row, found)) = rows.clone().find_map(|row| Some((row, self.problems.get(&row)?))) {
            return Err(self.described(row, *found));
        }
        let (rows, mut none) = (Vec::from_iter(rows), Targets::default());
        self.rows.read(&rows, out, &mut none).map_err(|error| error.to_string())
    }

    fn described(&self, row: usize, (column, problem): (usize, Problem)) -> String {
        let (line, column, how) =
            (self.table.places.line(row), &self.table.columns[column], &self.encoding.inputs[column]);
        format!("at line {line}, column `{}`: {}", quote(&column.name), problem.described(column, how))
    }

    fn rows_of(&self, number: usize) -> Range<usize> {
        let start = self.first + number * self.stride;
        start..start + self.window
    }
}

/// The column that becomes `input`.
fn wanted(input: &InputColumn) -> Wanted {
    let kind = match input {
        InputColumn::Number { .. } => Kind::Numbers,
        InputColumn::Category { .. } => Kind::Words,
    };
    (input.name().to_owned(), kind)
}
