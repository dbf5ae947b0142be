//! From the cells of a column to the inputs of a network.

use super::column::{Cells, Column, MISSING, Words};
use super::encoding::InputColumn;
use ternflock_base::suggest::suggest;
use ternflock_base::text::quote;

/// A column with its encoding.
pub enum Encoder<'a> {
    /// Numbers, and the number in place of a missing one.
    Numbers(&'a [f32], Option<f32>),
    /// Categories.
    Categories {
        /// The texts of the column.
        words: &'a Words,
        /// The position of each text among the known categories.
        positions: Vec<Option<usize>>,
        /// The position of all other categories; `None`: they are refused.
        other: Option<usize>,
        /// Whether a row may have no category.
        optional: bool,
    },
}

/// Why a cell cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It has no value.
    NoValue,
    /// No training row has the category with this code.
    Unseen(u32),
}

/// The position of no category.
const NONE: f32 = -1.0;

impl<'a> Encoder<'a> {
    /// The cells of `column`, encoded as `how` says.
    ///
    /// # Errors
    /// If one is for numbers and the other for categories.
    pub fn new(column: &'a Column, how: &'a InputColumn) -> Result<Encoder<'a>, String> {
        match (how, &column.cells) {
            (InputColumn::Number { fill, .. }, Cells::Numbers(cells)) => Ok(Encoder::Numbers(cells, *fill)),
            (InputColumn::Category { categories, other, optional, .. }, Cells::Words(words)) => {
                let position = |word: &String| categories.binary_search(word).ok();
                let positions = words.words.iter().map(position).collect();
                let (other, optional) = (other.then_some(categories.len()), *optional);
                Ok(Encoder::Categories { words, positions, other, optional })
            }
            (how, _) => {
                let kind = if matches!(how, InputColumn::Number { .. }) { "numbers" } else { "categories" };
                Err(format!("the network was trained on {kind} here"))
            }
        }
    }

    /// The number in row `row`, or the position of its category.
    ///
    /// # Errors
    /// If it has no value or an unknown category, and the encoding refuses those.
    pub fn cell(&self, row: usize) -> Result<f32, Problem> {
        match self {
            Encoder::Numbers(cells, fill) => match (cells[row].is_nan(), fill) {
                (false, _) => Ok(cells[row]),
                (true, Some(fill)) => Ok(*fill),
                (true, None) => Err(Problem::NoValue),
            },
            Encoder::Categories { words, positions, other, optional } => match words.codes[row] {
                MISSING if *optional => Ok(NONE),
                MISSING => Err(Problem::NoValue),
                code => {
                    let position = positions[code as usize].or(*other);
                    position.map(|position| position as f32).ok_or(Problem::Unseen(code))
                }
            },
        }
    }
}

impl Problem {
    /// The words that follow the place of a cell of `column`, encoded as `how` says.
    pub fn described(self, column: &Column, how: &InputColumn) -> String {
        match (self, &column.cells, how) {
            (Problem::Unseen(code), Cells::Words(words), InputColumn::Category { categories, .. }) => {
                let (word, known) = (&words.words[code as usize], categories.iter().map(String::as_str));
                format!(
                    "no training row has the category `{}` ({}); training with data.unseen = \"other\" accepts such \
                     categories",
                    quote(word),
                    suggest(word, &known.collect::<Vec<_>>())
                )
            }
            _ => "has no value: fill the cell, or train with data.missing = \"mean\", \"median\" or \"zero\""
                .into(),
        }
    }
}
