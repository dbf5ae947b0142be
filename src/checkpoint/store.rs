//! The directory `checkpoints/` of a run: `step-<step>.h5` for the last few steps, `best.h5`, and `stage-<name>.h5` for the
//! end of each stage.

use std::fs;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::partial::{Partial, is_partial};
use super::{Snapshot, load, save};
use crate::error::{Error, Result};

/// The checkpoints of one run, written by one process.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    keep: NonZeroUsize,
}

const CHECKPOINTS: &str = "checkpoints";
const START: &str = "start.h5";

/// A checkpoint in a [`Store`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The steps the run had done.
    pub step: u64,
    /// Its file.
    pub path: PathBuf,
}

/// A checkpoint that [`Store::load_newest`] has found whole.
#[derive(Debug)]
pub struct Newest {
    /// Its file.
    pub path: PathBuf,
    /// What it holds.
    pub snapshot: Snapshot,
    /// Newer ones, each with what is wrong with it.
    pub passed_over: Vec<String>,
}

impl Store {
    /// Opens `<run_dir>/checkpoints`, creates it if need be, and removes the temporary files a killed run has left.
    /// The last `keep` checkpoints will be kept, and the best.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when the directory cannot be created, read or cleaned.
    pub fn open(run_dir: impl AsRef<Path>, keep: NonZeroUsize) -> Result<Self> {
        let directory = run_dir.as_ref().join(CHECKPOINTS);
        fs::create_dir_all(&directory).map_err(|error| {
            Error::checkpoint(&directory, format!("cannot be created: {error}; choose another run directory"))
        })?;
        let store = Store { directory, keep };
        for name in store.names()?.iter().filter(|name| is_partial(name)) {
            remove(&store.directory.join(name))?;
        }
        Ok(store)
    }

    /// Writes `snapshot` as the checkpoint of its step. Then makes it `best.h5` if `is_best`, and removes all but the
    /// last `keep` checkpoints up to this step. Returns its path.
    ///
    /// # Errors
    ///
    /// As for [`save`]: the checkpoints that were there still are.
    pub fn save<V: AsRef<[f32]>>(&self, snapshot: &Snapshot<V>, is_best: bool) -> Result<PathBuf> {
        let step = snapshot.progress.step;
        let path = self.directory.join(format!("step-{step:010}.h5"));
        save(&path, snapshot)?;
        if is_best {
            self.make_best(&path)?;
        }
        // Those of later steps belong to a run that was taken up again from an earlier one: not ours to judge.
        let up_to_here: Vec<_> = self.list()?.into_iter().filter(|saved| saved.step <= step).collect();
        for old in up_to_here.iter().rev().skip(self.keep.get()) {
            remove(&old.path)?;
        }
        Ok(path)
    }

    /// Makes the checkpoint at `path` the best too. A run that was killed between writing a checkpoint and this does it
    /// when it is taken up again.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when `best.h5` cannot be written; the one that was there still is.
    pub fn make_best(&self, path: &Path) -> Result<()> {
        copy(path, &self.best_path())
    }

    /// Keeps the checkpoint at `path` as `stage-NAME.h5`, the last of the stage `name`, beside the last few.
    ///
    /// # Errors
    ///
    /// As for [`Store::make_best`].
    pub fn keep_stage(&self, path: &Path, name: &str) -> Result<()> {
        copy(path, &self.stage_path(name))
    }

    /// The last checkpoint of the stage `name`.
    pub fn stage_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("stage-{name}.h5"))
    }

    /// Keeps the checkpoint at `path`, another run's, as the one that this run began with, so that it can be taken up again
    /// without that file.
    ///
    /// # Errors
    ///
    /// As for [`Store::make_best`].
    pub fn keep_start(&self, path: &Path) -> Result<()> {
        copy(path, &self.directory.join(START))
    }

    /// Where [`Store::keep_start`] keeps it in the directory of a run.
    pub fn start_path(run_dir: impl AsRef<Path>) -> PathBuf {
        run_dir.as_ref().join(CHECKPOINTS).join(START)
    }

    /// The checkpoints by step, `best.h5` not among them.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Saved>> {
        let saved = |name: &String| {
            let digits = name.strip_prefix("step-")?.strip_suffix(".h5")?;
            Some(Saved { step: digits.parse().ok()?, path: self.directory.join(name) })
        };
        let mut list: Vec<_> = self.names()?.iter().filter_map(saved).collect();
        list.sort_by_key(|saved| saved.step);
        Ok(list)
    }

    /// The checkpoint with the highest step.
    ///
    /// # Errors
    ///
    /// As for [`list`](Self::list).
    pub fn latest(&self) -> Result<Option<PathBuf>> {
        Ok(self.list()?.pop().map(|saved| saved.path))
    }

    /// The best checkpoint, if one was saved as such.
    pub fn best(&self) -> Option<PathBuf> {
        Some(self.best_path()).filter(|path| path.exists())
    }

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

    /// Loads the checkpoint with the highest step that is whole. Damaged ones of later steps are passed over and stay where they
    /// are.
    ///
    /// # Errors
    ///
    /// As for [`load`], of the newest checkpoint, when there are some and none is whole.
    pub fn load_newest(&self) -> Result<Option<Newest>> {
        let mut damaged: Vec<(PathBuf, String)> = Vec::new();
        for Saved { path, step } in self.list()?.into_iter().rev() {
            match load(&path) {
                Ok(snapshot) => {
                    let say = |(path, message): &(PathBuf, String)| {
                        format!("{}: {message}; taking the checkpoint of step {step} instead", path.display())
                    };
                    return Ok(Some(Newest {
                        path,
                        snapshot,
                        passed_over: damaged.iter().map(say).collect(),
                    }));
                }
                Err(Error::Checkpoint { path, message }) => damaged.push((path, message)),
                Err(error) => return Err(error),
            }
        }
        damaged.into_iter().next().map_or(Ok(None), |(path, message)| {
            Err(Error::checkpoint(path, format!("{message}; no earlier checkpoint here is whole")))
        })
    }

    fn best_path(&self) -> PathBuf {
        self.directory.join("best.h5")
    }

    fn names(&self) -> Result<Vec<String>> {
        let names = fs::read_dir(&self.directory)
            .and_then(|entries| {
                entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<std::io::Result<Vec<_>>>()
            })
            .map_err(|error| Error::checkpoint(&self.directory, format!("cannot be read: {error}")))?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }
}

/// Atomically replaces `name` by a copy of the checkpoint at `path`.
fn copy(path: &Path, name: &Path) -> Result<()> {
    Partial::of(path, name)
        .and_then(|partial| partial.rename(name))
        .map_err(|reason| Error::checkpoint(name, reason))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::checkpoint(path, format!("is no longer needed but cannot be removed: {error}")))
        }
        _ => Ok(()),
    }
}
