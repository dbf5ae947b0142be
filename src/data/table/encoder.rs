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
        /// The known categories.
        known: &'a [String],
        /// The position of each text among the categories.
        positions: Vec<Option<usize>>,
        /// Whether one more input stands for other categories.
        other: bool,
        /// Whether a row may have no category.
        optional: bool,
    },
}

/// The position of no category.
const NONE: f32 = -1.0;

const NO_VALUE: &str =
    "has no value: fill the cell, or train with data.missing = \"mean\", \"median\" or \"zero\"";

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
                let (other, optional) = (*other, *optional);
                Ok(Encoder::Categories { words, known: categories, positions, other, optional })
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
    pub fn cell(&self, row: usize) -> Result<f32, String> {
        match self {
            Encoder::Numbers(cells, fill) => match (cells[row].is_nan(), fill) {
                (false, _) => Ok(cells[row]),
                (true, Some(fill)) => Ok(*fill),
                (true, None) => Err(NO_VALUE.into()),
            },
            Encoder::Categories { words, known, positions, other, optional } => {
                let code = words.codes[row];
                match (code, positions.get(code as usize)) {
                    (MISSING, _) if *optional => Ok(NONE),
                    (_, Some(Some(position))) => Ok(*position as f32),
                    (_, Some(None)) if *other => Ok(known.len() as f32),
                    (_, Some(None)) => Err(unseen(&words.words[code as usize], known)),
                    (_, None) => Err(NO_VALUE.into()),
                }
            }
        }
    }
}

/// The problem of the category `word`, which is none of the `known` ones.
fn unseen(word: &str, known: &[String]) -> String {
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    format!(
        "no training row has the category `{}` ({}); training with data.unseen = \"other\" accepts such categories",
        quote(word),
        suggest(word, &names)
    )
}
