//! The directory `checkpoints/` of a run: `step-<step>.h5` for the newest steps, `best.h5`, and
//! `stage-<name>.h5` for the end of each stage.

use std::fs;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::entries::check_link;
use super::room::copy;
use super::{Snapshot, save};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{create_directories, not_a_file, remove_partials};

/// The checkpoints of one run, written by one process.
#[derive(Debug)]
pub struct Store {
    pub(super) directory: PathBuf,
    pub(super) keep: NonZeroUsize,
}

pub(super) const CHECKPOINTS: &str = "checkpoints";
pub(super) const START: &str = "start.h5";
pub(super) const BEST: &str = "best.h5";

/// A checkpoint in a [`Store`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The number of steps that the run had done.
    pub step: u64,
    /// The path of its file.
    pub path: PathBuf,
}

impl Store {
    /// Opens `<run_dir>/checkpoints`, creates it if necessary, and removes temporary files that a killed run
    /// left. The newest `keep` checkpoints and the best one will be kept.
    ///
    /// `checkpoints` may be a symbolic link to a directory on another disk if it belongs to the user of this process or to
    /// root. A link from another user could lead to files that do not belong to that user.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if the directory cannot be created, read or cleaned, or is a link that must not be followed.
    pub fn open(run_dir: impl AsRef<Path>, keep: NonZeroUsize) -> Result<Self> {
        let directory = run_dir.as_ref().join(CHECKPOINTS);
        check_link(&directory).map_err(|reason| Error::checkpoint(&directory, reason))?;
        create_directories(&directory).map_err(|error| {
            Error::checkpoint(&directory, format!("cannot be created: {error}; choose another run directory"))
        })?;
        remove_partials(&directory, |_| true).map_err(|(path, error)| {
            Error::checkpoint(path, format!("a killed run left it, and it cannot be removed: {error}"))
        })?;
        Ok(Store { directory, keep })
    }

    /// Writes `snapshot` as the checkpoint of its step. Then makes it `best.h5` if `is_best`, and removes all but the
    /// last `keep` checkpoints up to this step. Returns its path.
    ///
    /// # Errors
    ///
    /// As for [`save`]. Existing checkpoints are kept.
    pub fn save<V: AsRef<[f32]>>(&self, snapshot: &Snapshot<V>, is_best: bool) -> Result<PathBuf> {
        let step = snapshot.progress.step;
        let path = self.directory.join(step_name(step));
        save(&path, snapshot)?;
        if is_best {
            self.make_best(&path)?;
        }
        // Checkpoints of later steps belong to a run that was resumed from an earlier step; they are left
        // alone.
        let up_to_here: Vec<_> = self.list()?.into_iter().filter(|saved| saved.step <= step).collect();
        for old in up_to_here.iter().rev().skip(self.keep.get()) {
            remove(&old.path)?;
        }
        Ok(path)
    }

    /// Makes the checkpoint at `path` the best one too. If a run is killed between writing a checkpoint and
    /// this call, it makes up for it when it is resumed.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if `best.h5` cannot be written. The previous one is kept.
    pub fn make_best(&self, path: &Path) -> Result<()> {
        copy_to(path, &self.best_path())
    }

    /// Also keeps the checkpoint at `path` as `stage-NAME.h5`, the last one of the stage `name`.
    ///
    /// # Errors
    ///
    /// As for [`Store::make_best`].
    pub fn keep_stage(&self, path: &Path, name: &str) -> Result<()> {
        copy_to(path, &self.stage_path(name))
    }

    /// The last checkpoint of the stage `name`.
    pub fn stage_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("stage-{name}.h5"))
    }

    /// Keeps a copy of the checkpoint at `path`, from which this run starts, so that the run can be resumed
    /// without that file.
    ///
    /// # Errors
    ///
    /// As for [`Store::make_best`].
    pub fn keep_start(&self, path: &Path) -> Result<()> {
        copy_to(path, &self.directory.join(START))
    }

    /// The path of this copy in the run directory.
    pub fn start_path(run_dir: impl AsRef<Path>) -> PathBuf {
        run_dir.as_ref().join(CHECKPOINTS).join(START)
    }

    /// The checkpoints by step, without `best.h5`: regular files whose names this program writes.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Saved>> {
        let mut list = self.named()?;
        list.retain(|saved| not_a_file(&saved.path).is_none());
        Ok(list)
    }

    /// All entries that have the name of a step checkpoint, by step.
    pub(super) fn named(&self) -> Result<Vec<Saved>> {
        let saved = |name: &String| Some(Saved { step: step_of(name)?, path: self.directory.join(name) });
        let mut named: Vec<_> = self.names()?.iter().filter_map(saved).collect();
        named.sort_by_key(|saved| saved.step);
        Ok(named)
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
        Some(self.best_path()).filter(|path| path.exists() && not_a_file(path).is_none())
    }

    fn best_path(&self) -> PathBuf {
        self.directory.join(BEST)
    }

    pub(super) fn names(&self) -> Result<Vec<String>> {
        let names = fs::read_dir(&self.directory)
            .and_then(|entries| {
                entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<std::io::Result<Vec<_>>>()
            })
            .map_err(|error| Error::checkpoint(&self.directory, format!("cannot be read: {error}")))?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }
}

/// The name of the checkpoint of `step`.
fn step_name(step: u64) -> String {
    format!("step-{step:010}.h5")
}

/// The step of the checkpoint whose name is exactly `name`.
pub(super) fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.strip_suffix(".h5")?.parse().ok()?;
    (step_name(step) == name).then_some(step)
}

/// Atomically replaces `name` with a copy of the checkpoint at `path`.
fn copy_to(path: &Path, name: &Path) -> Result<()> {
    copy(path, name).map_err(|reason| Error::checkpoint(name, reason))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::checkpoint(path, format!("is no longer needed but cannot be removed: {error}")))
        }
        _ => Ok(()),
    }
}
