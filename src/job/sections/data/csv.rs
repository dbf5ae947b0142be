//! The keys of `[data]` for tables: columns of CSV files by name.

use std::path::PathBuf;

use serde::Serialize;

use super::columns::{Columns, OneOrMore};
use super::datasets::{CSV, TABLES, refuse_of_others};
use crate::syntax::{Absent, Definition, Given, Key, Of, Reported, Rule, SectionReader, choices, is_default};

/// A table, and the meaning of its columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Csv {
    /// The files, whose rows follow each other; empty for a known dataset.
    #[serde(rename = "file", skip_serializing_if = "OneOrMore::is_empty")]
    pub files: OneOrMore<PathBuf>,
    /// The files of the validation set; empty: it is split off.
    #[serde(rename = "validation_file", skip_serializing_if = "OneOrMore::is_empty")]
    pub validation_files: OneOrMore<PathBuf>,
    /// The files of the test set; empty: it is split off.
    #[serde(rename = "test_file", skip_serializing_if = "OneOrMore::is_empty")]
    pub test_files: OneOrMore<PathBuf>,
    /// The character between two cells.
    pub delimiter: char,
    /// The columns that the network reads.
    pub inputs: Columns,
    /// The columns to predict.
    pub targets: OneOrMore<String>,
    /// Columns whose cells are categories, even if they look like numbers.
    #[serde(skip_serializing_if = "is_default")]
    pub categories: Vec<String>,
    /// Columns that are neither inputs nor targets.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore: Vec<String>,
    /// The treatment of cells without a value.
    pub missing: Missing,
    /// The treatment of categories that no training sample has.
    pub unseen: Unseen,
    /// The column that says to which split a row belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_column: Option<String>,
    /// The column whose equal cells keep rows in one split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The treatment of cells without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// They are an error.
    #[default]
    Refuse,
    /// A number becomes the mean of its column.
    Mean,
    /// A number becomes the median of its column.
    Median,
    /// A number becomes zero.
    Zero,
}

/// The treatment of categories that no training sample has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unseen {
    /// They are an error.
    #[default]
    Refuse,
    /// They share one more input.
    Other,
}

choices! { Missing: Refuse = "refuse", Mean = "mean", Median = "median", Zero = "zero" }

choices! { Unseen: Refuse = "refuse", Other = "other" }

const OWN_FILES: Of = Of::kinds(&[CSV]);

const FILE: Key<OneOrMore<PathBuf>, Reported> = Key::new(
    "file",
    Reported,
    "a CSV file, raw or `.gz`, or a list of files whose rows follow each other. The first row of each holds the \
     names of its columns.",
)
.of(OWN_FILES);

const VALIDATION_FILE: Key<OneOrMore<PathBuf>, Absent> =
    Key::new("validation_file", Absent("split off `file`"), "the same for a validation set of its own.")
        .of(OWN_FILES);

const TEST_FILE: Key<OneOrMore<PathBuf>, Absent> =
    Key::new("test_file", Absent("split off `file`"), "the same for a test set of its own.").of(OWN_FILES);

const DELIMITER: Key<String> = Key::new(
    "delimiter",
    Given(|| ",".into()),
    "the character between two cells, such as `\";\"` or `\"\\t\"`. A cell that contains it is between double quotes.",
)
.of(TABLES)
.such(Rule::Such {
    must_be: "one ASCII character other than a double quote or the end of a line",
    holds: |text| matches!(text.as_bytes(), [byte] if byte.is_ascii() && !b"\"\n\r".contains(byte)),
    schema: || serde_json::json!({ "minLength": 1, "maxLength": 1 }),
});

const INPUTS: Key<Columns> = Key::new(
    "inputs",
    Given(|| Columns::All),
    "the columns that the network reads. `\"all\"`: all columns except targets and those of `ignore`, `split_column` and \
     `group`; with `window`, the targets too, because the network reads only rows before those it predicts.",
)
.of(TABLES);

const TARGETS: Key<OneOrMore<String>, Reported> = Key::new(
    "targets",
    Reported,
    "the column to predict, or a list of columns. Numbers are values; a single column of text holds classes, and \
     so does one of whole numbers if `task.kind = \"classification\"` or if it is listed in `categories`.",
)
.of(TABLES);

const CATEGORIES: Key<Vec<String>, Absent> = Key::new(
    "categories",
    Absent("the columns that hold text"),
    "columns of numbers whose cells are categories, such as postcodes. Columns of text always hold categories. Each \
     category becomes one input that is 0 or 1.",
)
.of(TABLES);

const IGNORE: Key<Vec<String>, Absent> =
    Key::new("ignore", Absent("none"), "columns that `inputs = \"all\"` leaves out.").of(TABLES);

const MISSING: Key<Missing> = Key::new(
    "missing",
    Given(|| Missing::Refuse),
    "the treatment of cells that are empty, `NA`, `N/A`, `NaN` or `null`. `\"refuse\"`: an error. `\"mean\"`, \
     `\"median\"`: a number becomes the mean or median of its column, measured on the training split. `\"zero\"`: it \
     becomes 0. Unless missing cells are refused, all inputs of a missing category are 0. A missing target is always \
     refused.",
)
.of(TABLES);

const UNSEEN: Key<Unseen> = Key::new(
    "unseen",
    Given(|| Unseen::Refuse),
    "the treatment of categories that no training sample has: `\"refuse\"` ends the run and names the first one; \
     `\"other\"` gives each column of categories one more input, which stands for all of them.",
)
.of(TABLES);

const SPLIT_COLUMN: Key<String, Absent> = Key::new(
    "split_column",
    Absent("none"),
    "the column that assigns rows to splits: its cells are `train`, `validation` or `test`. It cannot be used with \
     `window`.",
)
.of(TABLES);

const GROUP: Key<String, Absent> = Key::new(
    "group",
    Absent("none"),
    "the column that says which rows belong together, such as those of a patient: rows with equal cells are in one \
     split. It cannot be combined with `window`: windows are split by time.",
)
.of(TABLES);

/// These keys, those for the files first.
pub(super) const KEYS: &[&dyn Definition] = &[
    &FILE,
    &VALIDATION_FILE,
    &TEST_FILE,
    &DELIMITER,
    &INPUTS,
    &TARGETS,
    &CATEGORIES,
    &IGNORE,
    &MISSING,
    &UNSEEN,
    &SPLIT_COLUMN,
    &GROUP,
];

impl Csv {
    /// Reads these keys of `section`; `None` for any other dataset.
    pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<Csv> {
        if !TABLES.includes(dataset) {
            refuse_of_others(section, KEYS, dataset);
            return None;
        }
        refuse_of_others(section, &KEYS[..3], dataset);
        if dataset == CSV && !section.has(FILE.name) {
            section.refuse("dataset", "data.dataset = \"csv\" needs `file`, the table");
        }
        if !section.has(TARGETS.name) {
            section.refuse(
                "dataset",
                format!("data.dataset = \"{dataset}\" needs `targets`, the column to predict"),
            );
        }
        let delimiter: String = section.read(&DELIMITER);
        Some(Csv {
            files: section.read(&FILE).unwrap_or_default(),
            validation_files: section.read(&VALIDATION_FILE).unwrap_or_default(),
            test_files: section.read(&TEST_FILE).unwrap_or_default(),
            delimiter: delimiter.chars().next().unwrap_or(','),
            inputs: section.read(&INPUTS),
            targets: section.read(&TARGETS).unwrap_or_default(),
            categories: section.read(&CATEGORIES).unwrap_or_default(),
            ignore: section.read(&IGNORE).unwrap_or_default(),
            missing: section.read(&MISSING),
            unseen: section.read(&UNSEEN),
            split_column: section.read(&SPLIT_COLUMN),
            group: section.read(&GROUP),
        })
    }
}
