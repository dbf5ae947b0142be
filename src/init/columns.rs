//! The columns of a table that the network reads, and those that it does not.

use std::path::Path;

use super::proposal::Proposal;
use super::request::Request;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::{plural, quote};
use ternflock_data::{ColumnFacts, TableFacts};

/// A column of text with more different values holds names or free text, not categories.
const MOST_CATEGORIES: usize = 100;

/// A column with values in fewer than one row of this many may have none in the training split.
const FEWEST_VALUES: usize = 20;

/// Adds which columns the network reads, and how.
pub fn set_inputs(
    path: &Path,
    facts: &TableFacts,
    target: &ColumnFacts,
    request: &Request,
    proposal: &mut Proposal,
) -> Result<()> {
    let (mut ignored, mut categories, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    let (mut missing, mut has_categories, mut inputs) = (0, false, 0);
    if target.texts > 0 && target.numbers > 0 {
        categories.push(target.name.clone());
    }
    for column in &facts.columns {
        if column.name == target.name && request.window.is_none() {
            continue;
        }
        if let Some(reason) = not_an_input(column, facts.rows) {
            if column.texts > 0 && column.numbers > column.texts {
                proposal.choices.push(mixed(column));
            }
            reasons.push(match column.name.is_empty() {
                true => format!("a column {reason}"),
                false => format!("`{}` {reason}", quote(&column.name)),
            });
            ignored.push(column.name.clone());
            continue;
        }
        inputs += 1;
        missing += column.missing;
        has_categories |= column.texts > 0;
        if column.texts > 0 && column.numbers > 0 {
            proposal.choices.push(mixed(column));
            categories.push(column.name.clone());
        }
    }
    if inputs == 0 {
        let reasons = reasons.join("; ");
        return Err(Error::data(path, format!("no column is left as an input: {reasons}")));
    }
    if !ignored.is_empty() {
        let reasons = reasons.join("; ");
        proposal.choices.push(format!("Not read: {reasons}."));
        proposal.set("ignore", ignored, format!("Columns that the network does not read: {reasons}."));
    }
    if !categories.is_empty() {
        let comment = "Columns whose cells are categories, although some look like numbers.";
        proposal.set("categories", categories, comment);
    }
    if missing > 0 {
        let cells = plural(missing, "cell");
        proposal.choices.push(format!(
            "{cells} without a value: numbers become the median of their column, categories all zeros."
        ));
        proposal.set(
            "missing",
            "median",
            format!(
                "{cells} without a value. Numbers become the median of their column on the training split (or \"mean\", or \
                 \"zero\"); categories become all zeros. \"refuse\" makes them an error."
            ),
        );
    }
    if has_categories {
        let comment = "Categories that are not in the training split share one additional input; \"refuse\" makes them an error.";
        proposal.set("unseen", "other", comment);
    }
    Ok(())
}

/// What is read from a `column` of numbers and texts, for the user to check.
pub fn mixed(column: &ColumnFacts) -> String {
    format!(
        "`{}` holds {} and {}, so all of them are read as texts: if it should hold numbers, correct these cells.",
        quote(&column.name),
        plural(column.numbers, "number"),
        plural(column.texts, "text")
    )
}

/// The reason why `column` is no input, after its name; `None`: it is one.
fn not_an_input(column: &ColumnFacts, rows: usize) -> Option<String> {
    if column.name.is_empty() {
        return Some("has no name".into());
    }
    if column.distinct == 0 {
        return Some("has no values".into());
    }
    if column.distinct == 1 && column.missing == 0 {
        return Some("has the same value in all rows".into());
    }
    let values = rows - column.missing;
    if values * FEWEST_VALUES < rows {
        return Some(format!("has values in only {values} of {}", plural(rows, "row")));
    }
    if column.is_row_number() {
        return Some("counts the rows".into());
    }
    let are_names = column.distinct > MOST_CATEGORIES || 2 * column.distinct > rows;
    (column.texts > 0 && are_names)
        .then(|| format!("holds {} different texts in {}", column.distinct_count(), plural(rows, "row")))
}
