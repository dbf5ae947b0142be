//! The directory `checkpoints/` of a run: `step-<step>.h5` for the last few steps, `best.h5`, and `stage-<name>.h5` for the
//! end of each stage.

use std::fs;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::room::copy;
use super::{Snapshot, load, save};
use crate::error::{Error, Result};
use crate::io::{create_directories, move_aside, not_a_file, remove_partials};

/// The checkpoints of one run, written by one process.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    keep: NonZeroUsize,
}

const CHECKPOINTS: &str = "checkpoints";
const START: &str = "start.h5";
const BEST: &str = "best.h5";

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
    /// `checkpoints` may be a symbolic link to a directory on another disk, if it belongs to the user of this process or to
    /// root. One that somebody else made could lead to files that are none of theirs.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when the directory cannot be created, read or cleaned, or is a link that is not followed.
    pub fn open(run_dir: impl AsRef<Path>, keep: NonZeroUsize) -> Result<Self> {
        let directory = run_dir.as_ref().join(CHECKPOINTS);
        check_link(&directory).map_err(|reason| Error::checkpoint(&directory, reason))?;
        create_directories(&directory).map_err(|error| {
            Error::checkpoint(&directory, format!("cannot be created: {error}; choose another run directory"))
        })?;
        remove_partials(&directory, |_| true).map_err(|(path, error)| {
            Error::checkpoint(path, format!("a killed run has left it, and it cannot be removed: {error}"))
        })?;
        Ok(Store { directory, keep })
    }

    /// Writes `snapshot` as the checkpoint of its step. Then makes it `best.h5` if `is_best`, and removes all but the
    /// last `keep` checkpoints up to this step. Returns its path.
    ///
    /// # Errors
    ///
    /// As for [`save`]: the checkpoints that were there still are.
    pub fn save<V: AsRef<[f32]>>(&self, snapshot: &Snapshot<V>, is_best: bool) -> Result<PathBuf> {
        let step = snapshot.progress.step;
        let path = self.directory.join(step_name(step));
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
        copy_to(path, &self.best_path())
    }

    /// Keeps the checkpoint at `path` as `stage-NAME.h5`, the last of the stage `name`, beside the last few.
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

    /// Keeps the checkpoint at `path`, another run's, as the one that this run began with, so that it can be taken up again
    /// without that file.
    ///
    /// # Errors
    ///
    /// As for [`Store::make_best`].
    pub fn keep_start(&self, path: &Path) -> Result<()> {
        copy_to(path, &self.directory.join(START))
    }

    /// Where [`Store::keep_start`] keeps it in the directory of a run.
    pub fn start_path(run_dir: impl AsRef<Path>) -> PathBuf {
        run_dir.as_ref().join(CHECKPOINTS).join(START)
    }

    /// The checkpoints by step, `best.h5` not among them: regular files whose names are those that this program writes.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Saved>> {
        let mut list = self.named()?;
        list.retain(|saved| not_a_file(&saved.path).is_none());
        Ok(list)
    }

    /// Whatever has the name of a step's checkpoint, by step.
    fn named(&self) -> Result<Vec<Saved>> {
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

    /// The checkpoints in `run_dir`, the newest first, whether or not they are whole; none where they cannot be listed.
    pub fn newest_paths(run_dir: impl AsRef<Path>) -> Vec<PathBuf> {
        let store = Store { directory: run_dir.as_ref().join(CHECKPOINTS), keep: NonZeroUsize::MIN };
        let list = store.list().unwrap_or_default();
        list.into_iter().rev().map(|saved| saved.path).collect()
    }

    /// Loads the checkpoint with the highest step that is whole and of the step that its name says. Others of later steps are
    /// passed over and stay where they are.
    ///
    /// # Errors
    ///
    /// As for [`load`], of the newest checkpoint, when there are some and none is whole.
    pub fn load_newest(&self) -> Result<Option<Newest>> {
        let mut passed_over: Vec<(PathBuf, String)> = Vec::new();
        for Saved { path, step } in self.named()?.into_iter().rev() {
            match load_step(&path, step) {
                Ok(snapshot) => {
                    passed_over.extend(self.misnamed()?);
                    let say = |(path, message): &(PathBuf, String)| {
                        format!("{}: {message}; taking the checkpoint of step {step} instead", path.display())
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
            Err(Error::checkpoint(path, format!("{message}; no earlier checkpoint here is whole")))
        })
    }

    /// What seems to be a step's checkpoint by its name, and why it is none.
    fn misnamed(&self) -> Result<Vec<(PathBuf, String)>> {
        let mut names = self.names()?;
        names.sort();
        let is_misnamed = |name: &String| {
            let step = name.strip_prefix("step-").and_then(|rest| rest.strip_suffix(".h5"));
            step.is_some() && step_of(name).is_none()
        };
        let message = "is not named as a checkpoint of a run is (step-0000000007.h5 of step 7)";
        Ok(names
            .into_iter()
            .filter(is_misnamed)
            .map(|name| (self.directory.join(name), message.into()))
            .collect())
    }

    /// Renames what has the name of a checkpoint of this run and is no regular file, such as a directory or a link, because it
    /// would be in the way of that checkpoint. Returns notes about that.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] when it cannot be renamed.
    pub fn clear_the_way(&self) -> Result<Vec<String>> {
        let is_ours = |name: &String| {
            let stage = name.strip_prefix("stage-").and_then(|rest| rest.strip_suffix(".h5"));
            name == BEST || name == START || step_of(name).is_some() || stage.is_some()
        };
        let mut notes = Vec::new();
        for path in self.names()?.iter().filter(|name| is_ours(name)).map(|name| self.directory.join(name)) {
            let Some(what) = not_a_file(&path) else { continue };
            let moved = move_aside(&path).map_err(|error| {
                Error::checkpoint(
                    &path,
                    format!("is {what}, in the way of a checkpoint, and cannot be renamed: {error}"),
                )
            })?;
            notes.push(format!(
                "{}: is {what}, in the way of a checkpoint; it is now called {}",
                path.display(),
                moved.display()
            ));
        }
        Ok(notes)
    }

    fn best_path(&self) -> PathBuf {
        self.directory.join(BEST)
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

/// The name of the checkpoint of `step`.
fn step_name(step: u64) -> String {
    format!("step-{step:010}.h5")
}

/// The step whose checkpoint has this very `name`.
fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.strip_suffix(".h5")?.parse().ok()?;
    (step_name(step) == name).then_some(step)
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

/// Refuses a link at `directory` that leads nowhere, or that another user has made.
fn check_link(directory: &Path) -> std::result::Result<(), String> {
    let Ok(link) = directory.symlink_metadata() else { return Ok(()) };
    // SAFETY: the call only returns a number.
    let user = unsafe { libc::geteuid() };
    if !link.is_symlink() {
        return Ok(());
    }
    if ![user, 0].contains(&link.uid()) {
        let reason = "is a symbolic link that another user made, which is not followed: replace it by a directory, or by a link \
                      of your own";
        return Err(reason.into());
    }
    if !directory.is_dir() {
        let reason = "is a symbolic link that does not lead to a directory: create the directory it leads to, or remove the link";
        return Err(reason.into());
    }
    Ok(())
}

/// Atomically replaces `name` by a copy of the checkpoint at `path`.
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
