//! Typical mistakes in job files, and the resulting messages.

mod canonical;
mod choices;
mod file;
mod kinds;
mod names;
mod overrides;
mod reference;
mod schema;
mod stages;
mod task;
mod validator;
mod values;

use std::fs;
use std::path::PathBuf;

use crate::{Loaded, load};
use ternflock_base::error::{Error, Result};

/// The lines that follow are numbered from 9.
pub(super) const MINIMAL: &str = "\
[data]
dataset = \"digits\"
[model]
preset = \"lenet\"
[train]
epochs = 1
[optimizer]
learning_rate = 0.1
";

/// Loads `text` as `job.toml` in a new directory.
pub(super) fn load_text(text: impl AsRef<[u8]>, sets: &[&str]) -> (Result<Loaded>, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("job.toml");
    fs::write(&path, text).unwrap();
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    (load(&path, &sets), dir.path().to_owned())
}

pub(super) fn accepted(text: &str, sets: &[&str]) -> Loaded {
    load_text(text, sets).0.unwrap_or_else(|error| panic!("{text}\n{sets:?}\n{error}"))
}

/// The messages about `text`; each line begins with `job.toml` or `--set`.
pub(super) fn refused(text: impl AsRef<[u8]>, sets: &[&str]) -> Vec<String> {
    let (result, dir) = load_text(text, sets);
    let error = result.expect_err("this job must be refused");
    assert!(matches!(error, Error::Job { .. }));
    error.to_string().replace(&format!("{}/", dir.display()), "").lines().map(str::to_owned).collect()
}

pub(super) fn minimal(more: &str) -> String {
    format!("{MINIMAL}{more}")
}
