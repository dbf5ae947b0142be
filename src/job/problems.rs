//! Everything that is wrong with a job file, collected so that one run reports it all.

use std::collections::HashSet;

use super::source::{Place, Source};
use crate::error::{Error, Result};

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

#[derive(Debug)]
struct Problem {
    place: Place,
    message: String,
    /// For a missing key: the paths that would have supplied it. Empty for every other problem.
    missing: Vec<String>,
}

impl Problems {
    /// Something said at `place` is wrong.
    pub fn add(&mut self, place: Place, message: impl Into<String>) {
        self.0.push(Problem { place, message: message.into(), missing: Vec::new() });
    }

    /// Nothing was said at any of `paths`, which is missed at `place`.
    pub fn add_missing(&mut self, place: Place, paths: Vec<String>, message: impl Into<String>) {
        self.0.push(Problem { place, message: message.into(), missing: paths });
    }

    /// Forgets that `path` (a key, or a section with its keys) is missing, where a mistyped or malformed one was just
    /// reported: one mistake should make one line.
    pub fn explain_missing(&mut self, path: Option<&str>) {
        let Some(path) = path else { return };
        let explained = |missing: &String| {
            missing.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.retain(|problem| !problem.missing.iter().any(explained));
    }

    /// One error a job, one line a problem: those of the file by line, then those of `--set`, then what is missing.
    pub fn into_result(mut self, source: &Source) -> Result<()> {
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        // A value of the job is read again in each stage.
        let mut seen = HashSet::new();
        self.0.retain(|problem| seen.insert((problem.place.clone(), problem.message.clone())));
        let mut problems = self.0.into_iter();
        let Some(first) = problems.next() else { return Ok(()) };
        let mut message = first.message;
        for problem in problems {
            message += &format!("\n{}: {}", source.display(&problem.place), problem.message);
        }
        Err(Error::Job { at: source.display(&first.place), message })
    }
}
