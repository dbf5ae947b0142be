//! The columns that are predicted: classes with names, or values.

use super::cell::LARGEST_EXACT;
use super::column::{Cells, Column};
use super::places::Places;
use super::read::Table;
use super::samples::TableTargets;
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_base::text::quote;

/// The targets of a table.
#[derive(Debug, PartialEq)]
pub enum Predicted {
    /// The class of each row, as a text.
    Classes(Column),
    /// `[N, K]`, row by row.
    Values(Vec<f32>, usize),
}

impl Predicted {
    /// The targets in the columns `targets` of `table`. Text is always a class; numbers are one if `has_classes`.
    ///
    /// # Errors
    /// If a cell has no value, or cannot be a class or a value.
    pub fn new(table: &Table, targets: &[usize], has_classes: bool) -> Result<Predicted> {
        let columns: Vec<&Column> = targets.iter().map(|&at| &table.columns[at]).collect();
        for column in &columns {
            if let Some(row) = (0..table.places.len()).find(|&row| column.is_missing(row)) {
                let problem =
                    "has no value, and a target cannot be filled in: fill the cell, or remove the row";
                return Err(table.places.error(row, &column.name, problem));
            }
        }
        if let [column] = columns[..]
            && (has_classes || matches!(column.cells, Cells::Words(_)))
        {
            return classes(column, &table.places).map(Predicted::Classes);
        }
        let mut numbers = Vec::new();
        for column in &columns {
            match &column.cells {
                Cells::Numbers(cells) => numbers.push(cells),
                Cells::Words(_) => {
                    let problem = "is text: several targets must all be numbers";
                    return Err(table.places.error(0, &column.name, problem));
                }
            }
        }
        if has_classes {
            return Err(Error::Usage(format!(
                "classes are in one column, but data.targets has {}",
                columns.len()
            )));
        }
        let rows = 0..table.places.len();
        let values = rows.flat_map(|row| numbers.iter().map(move |cells| cells[row])).collect();
        Ok(Predicted::Values(values, columns.len()))
    }

    /// The classes of the rows `training`: whole numbers in ascending order, or texts in the order of their characters.
    /// Empty for values.
    pub fn class_names(&self, training: &[usize]) -> Vec<String> {
        let Predicted::Classes(column) = self else { return Vec::new() };
        let mut names: Vec<String> = training.iter().filter_map(|&row| column.text(row)).collect();
        names.sort_unstable();
        names.dedup();
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        if numbers.is_some() {
            names.sort_by_key(|name| name.parse::<i64>().unwrap_or(0));
        }
        names
    }

    /// The number of the class of each row among all classes of the table; for values all are 0.
    pub fn strata(&self, rows: usize) -> Vec<usize> {
        match self {
            Predicted::Classes(Column { cells: Cells::Words(words), .. }) => {
                words.codes.iter().map(|&code| code as usize).collect()
            }
            _ => vec![0; rows],
        }
    }

    /// The targets of `rows`, with classes called `names`.
    ///
    /// # Errors
    /// If the class of a row is none of `names`.
    pub fn take(&self, rows: &[usize], names: &[String], places: &Places) -> Result<TableTargets> {
        match self {
            Predicted::Values(values, width) => {
                let taken = rows.iter().flat_map(|&row| &values[row * width..][..*width]).copied();
                Ok(TableTargets::Values { values: taken.collect(), width: *width })
            }
            Predicted::Classes(column) => {
                let Cells::Words(words) = &column.cells else {
                    return Err(Error::Usage("classes must be texts".into()));
                };
                let number = |word: &String| names.iter().position(|name| name == word);
                let numbers: Vec<Option<usize>> = words.words.iter().map(number).collect();
                let label = |&row: &usize| {
                    let code = words.codes[row] as usize;
                    numbers[code].ok_or_else(|| {
                        let (word, known) = (&words.words[code], names.iter().map(String::as_str));
                        let advice = suggest(word, &known.collect::<Vec<_>>());
                        let problem = format!("no training row has the class `{}`; {advice}", quote(word));
                        places.error(row, &column.name, &problem)
                    })
                };
                let labels = rows.iter().map(label).collect::<Result<_>>()?;
                Ok(TableTargets::Labels { labels, names: names.to_vec() })
            }
        }
    }
}

/// `column` as texts: whole numbers are written without a fraction.
fn classes(column: &Column, places: &Places) -> Result<Column> {
    let Cells::Numbers(cells) = &column.cells else { return Ok(column.clone()) };
    let mut texts = super::column::Builder::new(super::column::Kind::Words);
    for (row, &cell) in cells.iter().enumerate() {
        if cell.fract() != 0.0 || cell.abs() > LARGEST_EXACT {
            let problem = format!("{cell} cannot be a class: classes are whole numbers or texts");
            return Err(places.error(row, &column.name, &problem));
        }
        // -0 is 0.
        let label = (cell as i64).to_string();
        texts.push(label.as_bytes()).map_err(|problem| places.error(row, &column.name, &problem))?;
    }
    Ok(texts.build(column.name.clone()))
}
