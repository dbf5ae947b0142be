//! Finds the newest checkpoint from which a run can resume.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::store::{CHECKPOINTS, Saved, Store, step_of};
use super::{Snapshot, load};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::not_a_file;

/// A checkpoint that [`Store::load_newest`] found intact.
#[derive(Debug)]
pub struct Newest {
    /// The path of the file.
    pub path: PathBuf,
    /// The contents.
    pub snapshot: Snapshot,
    /// Newer checkpoints that were skipped, each with the reason.
    pub passed_over: Vec<String>,
}

impl Store {
    /// The job of the newest intact checkpoint in `run_dir`, as TOML, if there is any checkpoint.
    ///
    /// # Errors
    /// As for [`Store::load_newest`].
    pub fn newest_job(run_dir: impl AsRef<Path>) -> Result<Option<String>> {
        let directory = run_dir.as_ref().join(CHECKPOINTS);
        if !directory.exists() {
            return Ok(None);
        }
        let newest = Store { directory, keep: NonZeroUsize::MIN }.load_newest()?;
        Ok(newest.map(|newest| newest.snapshot.job))
    }

    /// The checkpoints in `run_dir`, newest first, intact or not; none if they cannot be listed.
    pub fn newest_paths(run_dir: impl AsRef<Path>) -> Vec<PathBuf> {
        let store = Store { directory: run_dir.as_ref().join(CHECKPOINTS), keep: NonZeroUsize::MIN };
        let list = store.list().unwrap_or_default();
        list.into_iter().rev().map(|saved| saved.path).collect()
    }

    /// Loads the newest intact checkpoint whose step matches its name. Skipped checkpoints of later steps stay in place.
    ///
    /// # Errors
    ///
    /// As for [`load`] of the newest checkpoint, if there are checkpoints but none is intact.
    pub fn load_newest(&self) -> Result<Option<Newest>> {
        let mut passed_over: Vec<(PathBuf, String)> = Vec::new();
        for Saved { path, step } in self.named()?.into_iter().rev() {
            match load_step(&path, step) {
                Ok(snapshot) => {
                    passed_over.extend(self.misnamed()?);
                    let say = |(path, message): &(PathBuf, String)| {
                        format!("{}: {message}; using the checkpoint of step {step} instead", path.display())
                    };
                    return Ok(Some(Newest {
                        path,
                        snapshot,
                        passed_over: passed_over.iter().map(say).collect(),
                    }));
                }
                Err(Error::Checkpoint { path, message }) => passed_over.push((path, message)),
                Err(error) => return Err(error),
            }
        }
        passed_over.extend(self.misnamed()?);
        passed_over.into_iter().next().map_or(Ok(None), |(path, message)| {
            Err(Error::checkpoint(path, format!("{message}; no earlier checkpoint here is intact")))
        })
    }

    /// Entries whose names look like step checkpoints, and the reason why they are not.
    fn misnamed(&self) -> Result<Vec<(PathBuf, String)>> {
        let mut names = self.names()?;
        names.sort();
        let is_misnamed = |name: &String| {
            let step = name.strip_prefix("step-").and_then(|rest| rest.strip_suffix(".h5"));
            step.is_some() && step_of(name).is_none()
        };
        let message = "does not have the name of a step checkpoint (step-0000000007.h5 for step 7)";
        Ok(names
            .into_iter()
            .filter(is_misnamed)
            .map(|name| (self.directory.join(name), message.into()))
            .collect())
    }
}

/// Loads the checkpoint at `path`, which must be of `step`.
fn load_step(path: &Path, step: u64) -> Result<Snapshot> {
    if let Some(what) = not_a_file(path) {
        return Err(Error::checkpoint(path, format!("is {what}, not a file")));
    }
    let snapshot = load(path)?;
    match snapshot.progress.step {
        found if found == step => Ok(snapshot),
        found => Err(Error::checkpoint(
            path,
            format!("is a checkpoint of step {found}, not of the step in its name"),
        )),
    }
}
