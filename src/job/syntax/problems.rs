//! Everything that is wrong with a job file, collected so that one run reports it all.

use std::collections::HashSet;

use super::source::{Place, Source};
use ternflock_base::error::{Error, Result};

/// The maximum number of problems in a report: nobody reads more.
pub(super) const MOST_PROBLEMS: usize = 100;

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    /// How many of these are about missing keys.
    missing: usize,
    /// Whether some were left out.
    more: bool,
}

#[derive(Debug)]
struct Problem {
    place: Place,
    message: String,
    /// For a missing key: the paths that would have supplied it. Empty for every other problem.
    missing: Vec<String>,
}

impl Problems {
    /// Adds a problem with the value at `place`.
    pub fn add(&mut self, place: Place, message: impl Into<String>) {
        self.found.push(Problem { place, message: message.into(), missing: Vec::new() });
        if self.found.len() - self.missing > 2 * MOST_PROBLEMS {
            self.sort();
            let mut left = MOST_PROBLEMS;
            // A missing key may be explained later and is then not a problem.
            self.retain(|problem| {
                let stays = !problem.missing.is_empty() || left > 0;
                left -= usize::from(stays && problem.missing.is_empty());
                stays
            });
        }
    }

    /// Adds a missing key: none of `paths` was given, and `place` needs one of them.
    pub fn add_missing(&mut self, place: Place, paths: Vec<String>, message: impl Into<String>) {
        self.missing += usize::from(!paths.is_empty());
        self.found.push(Problem { place, message: message.into(), missing: paths });
    }

    /// Forgets that `path` (a key, or a section with its keys) is missing, because a misspelled or malformed
    /// one was just reported: one mistake should be reported once.
    pub fn explain_missing(&mut self, path: Option<&str>) {
        let Some(path) = path else { return };
        let explained = |missing: &String| {
            missing.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.found.retain(|problem| !problem.missing.iter().any(explained));
        self.missing = self.found.iter().filter(|problem| !problem.missing.is_empty()).count();
    }

    /// Keeps only the problems for which `stays` holds. Remembers whether any were dropped.
    fn retain(&mut self, stays: impl FnMut(&Problem) -> bool) {
        let before = self.found.len();
        self.found.retain(stays);
        self.more |= self.found.len() < before;
    }

    /// Sorts the problems and removes duplicates: those of the file by line, then those of `--set`, then missing keys.
    fn sort(&mut self) {
        self.found.sort_by_key(|problem| problem.place);
        // A value of the job is read again in each stage.
        let mut seen = HashSet::new();
        self.found.retain(|problem| seen.insert((problem.place, problem.message.clone())));
        self.missing = self.found.iter().filter(|problem| !problem.missing.is_empty()).count();
    }

    /// One error per job with one line per problem: those of the file by line, then those of `--set`, then missing keys.
    pub fn into_result(mut self, source: &Source) -> Result<()> {
        self.sort();
        self.more |= self.found.len() > MOST_PROBLEMS;
        let mut problems = self.found.into_iter().take(MOST_PROBLEMS);
        let Some(first) = problems.next() else { return Ok(()) };
        let mut message = first.message;
        for problem in problems {
            message += &format!("\n{}: {}", source.display(problem.place), problem.message);
        }
        if self.more {
            let file = source.display(Place::File);
            message += &format!("\n{file}: there are more problems; they are reported once these are fixed");
        }
        Err(Error::Job { at: source.display(first.place), message })
    }
}
