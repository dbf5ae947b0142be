//! How the columns of a table become the inputs of a network. Everything measured comes from the training rows, and is kept
//! in checkpoints, so that other rows are encoded the same way.

use serde::{Deserialize, Serialize};

use super::column::{Cells, MISSING, Words};
use super::plan::Plan;
use super::read::Table;
use ternflock_base::error::Result as Outcome;
use ternflock_base::suggest::list;
use ternflock_job::{Columns, Csv, Missing, Unseen};

/// The number of categories that a column can have: each is an input of the network.
const MOST_CATEGORIES: usize = 10_000;

/// The columns of a table that a network reads and predicts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Encoding {
    /// The columns that it reads, in the order of its inputs.
    pub inputs: Vec<InputColumn>,
    /// The columns that it predicts.
    pub targets: Vec<String>,
}

/// A column that a network reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum InputColumn {
    /// A number is one input.
    Number {
        /// The column.
        name: String,
        /// The number in place of a missing one; `None`: it is refused.
        fill: Option<f32>,
    },
    /// A category is one input per category: 1 for its own, 0 for the others.
    Category {
        /// The column.
        name: String,
        /// The categories, in the order of their inputs.
        categories: Vec<String>,
        /// Whether one more input stands for all other categories. If not, they are refused.
        other: bool,
        /// Whether a row may have no category: all inputs are 0.
        optional: bool,
    },
}

impl InputColumn {
    /// The name of the column.
    pub fn name(&self) -> &str {
        match self {
            InputColumn::Number { name, .. } | InputColumn::Category { name, .. } => name,
        }
    }

    /// The number of its inputs.
    pub fn width(&self) -> usize {
        match self {
            InputColumn::Number { .. } => 1,
            InputColumn::Category { categories, other, .. } => categories.len() + usize::from(*other),
        }
    }
}

impl Encoding {
    /// F, the number of inputs.
    pub fn features(&self) -> usize {
        self.inputs.iter().map(InputColumn::width).sum()
    }

    /// The settings `how` for another table whose columns become the same inputs.
    pub fn settings(&self, how: &Csv) -> Csv {
        let names = |keep: fn(&InputColumn) -> bool| {
            let kept = self.inputs.iter().filter(|column| keep(column));
            kept.map(|column| column.name().to_owned()).collect::<Vec<_>>()
        };
        let is_target = |name: &&String| how.targets.contains(name);
        let mut categories = names(|column| matches!(column, InputColumn::Category { .. }));
        categories.extend(how.categories.iter().filter(is_target).cloned());
        Csv { inputs: Columns::Named(names(|_| true)), categories, ignore: Vec::new(), ..how.clone() }
    }

    /// Measures on the rows `training` of `table` what `how` asks for.
    ///
    /// # Errors
    /// If a column has no number to measure, or too many categories.
    pub fn measure(table: &Table, plan: &Plan, how: &Csv, training: &[usize]) -> Outcome<Encoding> {
        let inputs = plan.inputs.iter().map(|&at| {
            let column = &table.columns[at];
            let measured = match &column.cells {
                Cells::Numbers(cells) => number(&column.name, cells, how, training),
                Cells::Words(words) => category(&column.name, words, how, training),
            };
            let row = training.first().copied().unwrap_or(0);
            measured.map_err(|problem| table.places.error(row, &column.name, &problem))
        });
        let targets = plan.targets.iter().map(|&at| table.columns[at].name.clone()).collect();
        Ok(Encoding { inputs: inputs.collect::<Outcome<_>>()?, targets })
    }
}

/// How the column `name` of numbers `cells` is encoded, measured on the rows `training`.
fn number(name: &str, cells: &[f32], how: &Csv, training: &[usize]) -> Result<InputColumn, String> {
    let mut present: Vec<f32> = training.iter().map(|&row| cells[row]).collect();
    present.retain(|cell| !cell.is_nan());
    if matches!(how.missing, Missing::Mean | Missing::Median) && present.is_empty() {
        return Err(
            "no training row has a value here, so there is none to fill in: list the column in data.ignore"
                .into(),
        );
    }
    Ok(InputColumn::Number { name: name.to_owned(), fill: fill(how.missing, present) })
}

/// The same for a column of texts.
fn category(name: &str, words: &Words, how: &Csv, training: &[usize]) -> Result<InputColumn, String> {
    let mut is_there = vec![false; words.words.len()];
    for code in training.iter().map(|&row| words.codes[row]).filter(|&code| code != MISSING) {
        is_there[code as usize] = true;
    }
    let found = words.words.iter().zip(is_there).filter(|(_, is_there)| *is_there);
    let mut categories: Vec<String> = found.map(|(word, _)| word.clone()).collect();
    categories.sort_unstable();
    if categories.len() > MOST_CATEGORIES {
        return Err(format!(
            "the training rows have {} different categories ({}, ...), and each would be an input: list the column in \
             data.ignore",
            categories.len(),
            list(categories.iter().take(3).map(String::as_str), "`", "`")
        ));
    }
    let other = how.unseen == Unseen::Other;
    if categories.is_empty() && !other {
        return Err("no training row has a category here: list the column in data.ignore".into());
    }
    Ok(InputColumn::Category {
        name: name.to_owned(),
        categories,
        other,
        optional: how.missing != Missing::Refuse,
    })
}

/// The number in place of a missing one, measured in double precision on those that are `present`.
fn fill(how: Missing, mut present: Vec<f32>) -> Option<f32> {
    match how {
        Missing::Refuse => None,
        Missing::Zero => Some(0.0),
        Missing::Mean => {
            let sum: f64 = present.iter().map(|&number| f64::from(number)).sum();
            Some((sum / present.len() as f64) as f32)
        }
        Missing::Median => {
            present.sort_unstable_by(f32::total_cmp);
            let (low, high) = (present[(present.len() - 1) / 2], present[present.len() / 2]);
            Some(f64::midpoint(low.into(), high.into()) as f32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_are_what_they_say() {
        let numbers = vec![5.0, 1.0, 2.0, 4.0];
        assert_eq!(fill(Missing::Refuse, numbers.clone()), None);
        assert_eq!(fill(Missing::Zero, numbers.clone()), Some(0.0));
        assert_eq!(fill(Missing::Mean, numbers.clone()), Some(3.0));
        assert_eq!(fill(Missing::Median, numbers), Some(3.0));
        assert_eq!(fill(Missing::Median, vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(fill(Missing::Mean, vec![f32::MAX; 3]), Some(f32::MAX));
    }

    #[test]
    fn checkpoints_keep_every_bit() {
        let encoding = Encoding {
            inputs: vec![
                InputColumn::Number { name: "a,\"b\"".into(), fill: Some(0.1) },
                InputColumn::Category {
                    name: "c".into(),
                    categories: vec!["\u{fc}".into()],
                    other: true,
                    optional: false,
                },
            ],
            targets: vec!["y".into()],
        };
        let text = serde_json::to_string(&encoding).unwrap();
        assert_eq!(serde_json::from_str::<Encoding>(&text).unwrap(), encoding);
        assert_eq!(encoding.features(), 3);
    }
}
