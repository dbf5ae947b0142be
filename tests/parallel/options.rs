//! The arguments, a part of those that `cargo test` passes to every test program.

use crate::{CASES, Case, LARGE};

/// What to run.
#[derive(Default)]
pub struct Options {
    filters: Vec<String>,
    exact: bool,
    /// Print the names and stop.
    pub list: bool,
    /// `--ignored`: run the large cases, and only these.
    pub ignored: bool,
    /// `--act NAME`: be a rank of a job that is meant to fail.
    pub act: Option<String>,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => options.exact = true,
                "--list" => options.list = true,
                "--ignored" => options.ignored = true,
                "--act" => options.act = arguments.next(),
                // Output is always shown when a case fails, and cases always run one at a time.
                "--nocapture" | "--no-capture" | "--show-output" | "--include-ignored" | "--quiet" | "-q" => {
                }
                "--test-threads" | "--color" => drop(arguments.next()),
                other if other.starts_with("--test-threads=") || other.starts_with("--color=") => {}
                other if other.starts_with('-') => {
                    return Err(format!("unknown option {other}; known are [FILTER]... --exact --list"));
                }
                filter => options.filters.push(filter.to_owned()),
            }
        }
        Ok(options)
    }

    /// The cases to choose from.
    pub fn cases(&self) -> &'static [Case] {
        if self.ignored { LARGE } else { CASES }
    }

    /// Whether the case with this label is selected.
    pub fn select(&self, label: &str) -> bool {
        let matches =
            |filter: &String| if self.exact { label == filter } else { label.contains(filter.as_str()) };
        self.filters.is_empty() || self.filters.iter().any(matches)
    }
}
