//! A column while its cells are read, and afterwards.

use std::collections::HashMap;

use super::cell::{Cell, cell};
use ternflock_base::text::quote;

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its cells, a row each.
    pub cells: Cells,
}

/// The cells of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Numbers; NaN is missing.
    Numbers(Vec<f32>),
    /// Texts.
    Words(Words),
}

/// Texts as numbers of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    /// The number of each row's text in `words`, or [`MISSING`].
    pub codes: Vec<u32>,
    /// The different texts, in the order in which they first come.
    pub words: Vec<String>,
}

/// The code of a cell without a value.
pub const MISSING: u32 = u32::MAX;

/// The number of different texts that a column can have.
const MOST_WORDS: usize = 1 << 24;

/// What the cells of a column may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers or texts: its first value decides.
    Any,
    /// Numbers only.
    Numbers,
    /// Texts, even if they look like numbers.
    Words,
}

/// A column that is being read.
pub struct Builder {
    kind: Kind,
    cells: Cells,
    numbers: HashMap<String, u32>,
}

impl Builder {
    /// A column without rows.
    pub fn new(kind: Kind) -> Builder {
        let cells = match kind {
            Kind::Words => Cells::Words(Words::default()),
            Kind::Any | Kind::Numbers => Cells::Numbers(Vec::new()),
        };
        Builder { kind, cells, numbers: HashMap::new() }
    }

    /// Appends the cell `bytes`. The message of an `Err` follows the name of the column.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        let cell = cell(bytes);
        if self.kind == Kind::Any {
            self.decide(cell);
        }
        match (&mut self.cells, cell) {
            (Cells::Numbers(cells), Cell::Missing) => cells.push(f32::NAN),
            (Cells::Numbers(cells), Cell::Number(number)) => cells.push(number),
            (Cells::Numbers(_), Cell::TooLarge) => {
                return Err(format!("{} is infinite or too large for single precision", shown(bytes)));
            }
            (Cells::Numbers(_), Cell::Text(_)) => {
                return Err(format!(
                    "{} is not a number: correct it, or, if the cells of the column are categories, list the column in \
                     data.categories",
                    shown(bytes)
                ));
            }
            (Cells::Words(words), Cell::Missing) => words.codes.push(MISSING),
            (Cells::Words(_), Cell::Number(_) | Cell::TooLarge) if self.kind == Kind::Any => {
                return Err(format!(
                    "{} is a number, but the cells before it are text: list the column in data.categories if its cells \
                     are categories, or in data.ignore",
                    shown(bytes)
                ));
            }
            (Cells::Words(words), _) => {
                let Ok(text) = std::str::from_utf8(bytes.trim_ascii()) else {
                    return Err(format!("{} is not UTF-8 text: convert the file to UTF-8", shown(bytes)));
                };
                let number = match self.numbers.get(text) {
                    Some(&number) => number,
                    None => {
                        let number = words.words.len();
                        if number == MOST_WORDS {
                            return Err(format!("has more than {MOST_WORDS} different texts: ignore it"));
                        }
                        words.words.push(text.to_owned());
                        self.numbers.insert(text.to_owned(), number as u32);
                        number as u32
                    }
                };
                words.codes.push(number);
            }
        }
        Ok(())
    }

    /// The first value of a column decides what its other cells must be.
    fn decide(&mut self, cell: Cell) {
        let Cells::Numbers(missing) = &self.cells else { return };
        match cell {
            Cell::Missing => {}
            Cell::Number(_) | Cell::TooLarge => self.kind = Kind::Numbers,
            Cell::Text(_) => {
                let codes = vec![MISSING; missing.len()];
                self.cells = Cells::Words(Words { codes, words: Vec::new() });
            }
        }
    }

    /// The column, called `name`.
    pub fn build(self, name: String) -> Column {
        Column { name, cells: self.cells }
    }
}

/// A cell, as a message shows it.
fn shown(bytes: &[u8]) -> String {
    format!("`{}`", quote(&String::from_utf8_lossy(bytes.trim_ascii())))
}

impl Column {
    /// The text of row `row`, or `None` if it is missing.
    pub fn text(&self, row: usize) -> Option<String> {
        match &self.cells {
            Cells::Numbers(cells) => {
                Some(cells[row]).filter(|cell| !cell.is_nan()).map(|cell| cell.to_string())
            }
            Cells::Words(words) => words.words.get(words.codes[row] as usize).cloned(),
        }
    }

    /// Whether the cell of row `row` has no value.
    pub fn is_missing(&self, row: usize) -> bool {
        match &self.cells {
            Cells::Numbers(cells) => cells[row].is_nan(),
            Cells::Words(words) => words.codes[row] == MISSING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, cells: &[&str]) -> Result<Cells, String> {
        let mut builder = Builder::new(kind);
        cells.iter().try_for_each(|cell| builder.push(cell.as_bytes()))?;
        Ok(builder.build("x".into()).cells)
    }

    fn words(codes: &[u32], words: &[&str]) -> Result<Cells, String> {
        Ok(Cells::Words(Words {
            codes: codes.to_vec(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        }))
    }

    #[test]
    fn the_first_value_decides_between_numbers_and_text() {
        assert_eq!(
            read(Kind::Any, &["", "b", "NA", "a", "b "]),
            words(&[MISSING, 0, MISSING, 1, 0], &["b", "a"])
        );
        let Cells::Numbers(cells) = read(Kind::Any, &["", "1", "2"]).unwrap() else { panic!("numbers") };
        assert!(cells[0].is_nan() && cells[1..] == [1.0, 2.0]);
        assert_eq!(read(Kind::Words, &["1", "01", "1"]), words(&[0, 1, 0], &["1", "01"]));
        for (kind, cells, part) in [
            (Kind::Any, ["1", "1,5"], "`1,5` is not a number: correct it, or, if"),
            (Kind::Any, ["a", "7"], "`7` is a number, but the cells before it are text"),
            (Kind::Numbers, ["", "a"], "`a` is not a number"),
            (Kind::Any, ["1", "inf"], "`inf` is infinite or too large"),
        ] {
            let message = read(kind, &cells).unwrap_err();
            assert!(message.starts_with(part), "{message}");
        }
        let mut builder = Builder::new(Kind::Any);
        assert!(builder.push(b"M\xfcnchen").unwrap_err().contains("is not UTF-8 text"));
    }
}
