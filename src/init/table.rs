//! CSV files: the meaning of each column.

use std::collections::HashSet;
use std::path::Path;

use super::columns::{mixed, set_inputs};
use super::proposal::Proposal;
use super::request::Request;
use super::setting::Setting;
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_base::text::{plural, quote};
use ternflock_data::{ColumnFacts, LARGEST_EXACT, TableFacts, guess_delimiter, look_at_table};

/// Whole numbers with at most this many different values are classes, if there are at least [`ROWS_PER_CLASS`] rows per
/// class.
const MOST_NUMBERED_CLASSES: usize = 20;
const ROWS_PER_CLASS: usize = 5;

/// More different texts are not classes.
const MOST_CLASSES: usize = 1000;

/// Besides a window to train on, there must be one to choose the network and one to measure it.
const OTHER_WINDOWS: usize = 2;

/// Reads the whole table, and proposes what its columns are.
pub fn propose(request: &Request) -> Result<Proposal> {
    let (path, name) = (request.path, request.name()?);
    let delimiter = guess_delimiter(path)?;
    let facts = look_at_table(path, delimiter)?;
    check(path, &facts, request)?;
    let target = find_target(path, &facts, request)?;
    let mut proposal = Proposal::default();
    proposal.set("dataset", "csv", "A table: the first row holds the names of the columns.");
    proposal.set("file", name, "The path starts from the directory in which you run the program.");
    if delimiter != ',' {
        proposal.set("delimiter", delimiter.to_string(), "The character between two cells.");
    }
    let how = match request.target {
        Some(_) => "",
        None => ", the last column; --target chooses another",
    };
    proposal.choices.push(format!("To predict: `{}`{how}.", quote(&target.name)));
    proposal.set("targets", target.name.clone(), "The column to predict, or a list of columns.");
    let has_values = set_task(path, facts.rows, target, request, &mut proposal)?;
    set_inputs(path, &facts, target, request, &mut proposal)?;
    if let Some(window) = request.window {
        proposal.set("window", window, "The rows that the network reads; they follow each other in time.");
        proposal.set("horizon", horizon(request), "The rows after them that it predicts.");
    }
    proposal.set_splits(request.window.is_some());
    proposal.set_normalisation(has_values);
    Ok(proposal)
}

/// Refuses tables from which nothing can be learnt.
fn check(path: &Path, facts: &TableFacts, request: &Request) -> Result<()> {
    let refuse = |message: String| Err(Error::data(path, message));
    let names = || facts.columns.iter().map(|column| column.name.as_str());
    // Whole numbers may be names, such as those of years or pixels, unless they repeat.
    let whole: Vec<&str> = names().filter(|name| name.parse::<i64>().is_ok()).collect();
    let repeat = whole.iter().collect::<HashSet<_>>().len() < whole.len();
    let is_number = |name: &&str| name.parse::<f64>().is_ok() && (repeat || name.parse::<i64>().is_err());
    let numbers: Vec<&str> = names().filter(is_number).collect();
    if let Some(first) = numbers.first().filter(|_| 2 * numbers.len() >= facts.columns.len()) {
        return refuse(format!(
            "its first row holds numbers, such as `{}`, where the names of the columns should be: add a row with the names",
            quote(first)
        ));
    }
    if names().filter(|name| name.is_empty()).count() > 1 {
        return refuse(
            "has more than one column without a name: name these columns, or remove all but one".into(),
        );
    }
    if facts.rows == 0 {
        return refuse("has no rows below the names of the columns".into());
    }
    match &facts.columns[..] {
        [only] if request.window.is_none() => refuse(format!(
            "has only one column, `{}`, but a network needs inputs and a target: if the cells are separated by something \
             other than a comma, semicolon, tab or |, convert the file; to forecast the column from its own past, add --window",
            quote(&only.name)
        )),
        _ if request.horizon.is_some() && request.window.is_none() => {
            Err(Error::Usage("--horizon needs --window, the number of rows that a forecast reads".into()))
        }
        _ if request.window.is_some_and(|window| facts.rows < window + horizon(request) + OTHER_WINDOWS) => {
            Err(Error::Usage(format!(
                "{}: {} are too few for a window of {} and a horizon of {}: lower --window or --horizon",
                path.display(),
                plural(facts.rows, "row"),
                request.window.unwrap_or_default(),
                horizon(request)
            )))
        }
        _ => Ok(()),
    }
}

/// The rows after a window that are predicted.
fn horizon(request: &Request) -> usize {
    request.horizon.unwrap_or(1)
}

/// The column to predict.
fn find_target<'a>(path: &Path, facts: &'a TableFacts, request: &Request) -> Result<&'a ColumnFacts> {
    let named = || facts.columns.iter().filter(|column| !column.name.is_empty());
    let found = match request.target {
        Some(name) => named().find(|column| column.name == name).ok_or_else(|| {
            let names: Vec<&str> = named().map(|column| column.name.as_str()).collect();
            Error::data(path, format!("has no column `{}`; {}", quote(name), suggest(name, &names)))
        })?,
        None => named().next_back().ok_or_else(|| Error::data(path, "none of its columns has a name"))?,
    };
    let refuse = |message: &str| {
        let other = "choose another column with --target";
        Err(Error::data(path, format!("the column `{}` {message}, or {other}", quote(&found.name))))
    };
    match found.first_missing {
        Some(line) => refuse(&format!(
            "is to be predicted, but {} no value (the first in line {line}): fill them or remove the rows",
            if found.missing == 1 { "a cell has".into() } else { format!("{} cells have", found.missing) }
        )),
        None if found.distinct < 2 => {
            refuse("has the same value in all rows, so there is nothing to learn: check it")
        }
        None => Ok(found),
    }
}

/// Adds what is learnt. Returns whether it is values, not classes.
fn set_task(
    path: &Path,
    rows: usize,
    target: &ColumnFacts,
    request: &Request,
    proposal: &mut Proposal,
) -> Result<bool> {
    let refuse = |message: String| {
        let name = quote(&target.name);
        Err(Error::data(path, format!("the column `{name}` {message}")))
    };
    if request.window.is_some() {
        return match target.is_number() {
            true => Ok(true),
            false => refuse(
                "holds text, but a forecast predicts numbers: choose another column with --target".into(),
            ),
        };
    }
    if target.texts > 0 {
        if target.numbers > 0 {
            proposal.choices.push(mixed(target));
        }
        if 2 * target.distinct > rows || target.distinct > MOST_CLASSES {
            return refuse(format!(
                "holds {} different texts in {}, too many for classes: {}choose another column with --target",
                target.distinct_count(),
                plural(rows, "row"),
                match target.numbers > target.texts {
                    true => format!("correct its {} that are no numbers, or ", plural(target.texts, "cell")),
                    false => String::new(),
                }
            ));
        }
        proposal.choices.push(format!("Its {} different texts are classes.", target.distinct));
        return Ok(false);
    }
    let are_classes = target.is_whole
        && target.distinct <= MOST_NUMBERED_CLASSES
        && target.range.is_some_and(|range| range.iter().all(|number| number.abs() < LARGEST_EXACT))
        && rows >= ROWS_PER_CLASS * target.distinct;
    if are_classes {
        proposal.choices.push(format!(
            "Its {} different whole numbers are classes; if they are amounts, set task.kind = \"regression\" and units = \"targets\".",
            target.distinct
        ));
        proposal.task.push(Setting::new(
            "kind",
            "classification",
            "The whole numbers to predict are classes. If they are amounts, use \"regression\" here, and units = \"targets\" \
             in the last layer.",
        ));
    }
    Ok(!are_classes)
}
