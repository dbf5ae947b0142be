//! The directory of a run: which one it is, and what stands in it.
//!
//! `job.toml` the effective job, `metrics.jsonl` the events, `checkpoints/` the checkpoints, `.lock` the lock.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::world::World;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::report::write_whole;

/// Where runs go that were not given a directory.
const RUNS: &str = "runs";

const JOB: &str = "job.toml";
const LOCK: &str = ".lock";
const METRICS: &str = "metrics.jsonl";

/// A run's directory. On rank 0 it is locked as long as this lives: no other run writes there meanwhile.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: Option<File>,
}

impl RunDir {
    /// Chooses the directory on rank 0, for all ranks. A new run creates it and writes the effective job into it; one that
    /// resumes writes its job with [`RunDir::write_job`] once it is known to fit the checkpoint.
    ///
    /// Without `asked`, a new run takes `runs/NAME`, or `runs/NAME-2` and so on where that one is used; a run that
    /// resumes takes the last of these that is used. With `asked`, a new run refuses a directory that holds another
    /// run: nothing is ever overwritten, even by two runs that start at the same time.
    pub fn open(job: &Job, asked: Option<&Path>, resume: bool, world: &mut World) -> Result<RunDir> {
        let chosen = match world.rank() {
            0 => asked.map_or(Ok(String::new()), as_text).and_then(|_| {
                let path = RunDir::choose(Path::new(RUNS), job, asked, resume)?;
                as_text(&path)
            }),
            _ => Ok(String::new()),
        };
        let chosen = world.together(chosen)?;
        let path: PathBuf = world.broadcast(&chosen)?.into();
        let lock = if world.rank() == 0 { lock(&path) } else { Ok(None) };
        Ok(RunDir { _lock: world.together(lock)?, path })
    }

    fn choose(runs: &Path, job: &Job, asked: Option<&Path>, resume: bool) -> Result<PathBuf> {
        let numbered = |number: u32| match number {
            1 => runs.join(&job.name),
            _ => runs.join(format!("{}-{number}", job.name)),
        };
        let nothing = |path| Err(Error::run_dir(path, "holds no run to resume; start one without --resume"));
        match (asked, resume) {
            (Some(path), true) if is_used(path) => Ok(path.into()),
            (Some(path), true) => nothing(path.to_path_buf()),
            (Some(path), false) if claim(path, job)? => Ok(path.into()),
            (Some(path), false) => Err(Error::run_dir(
                path,
                "holds a run already; continue it with --resume, or give another --run-dir",
            )),
            (None, true) => match (1..).map(numbered).take_while(|path| is_used(path)).last() {
                Some(path) => Ok(path),
                None => nothing(numbered(1)),
            },
            (None, false) => {
                let mut number = 1;
                while !claim(&numbered(number), job)? {
                    number += 1;
                }
                Ok(numbered(number))
            }
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the effective job of a run that resumes.
    pub fn write_job(&self, job: &Job) -> Result<()> {
        write_whole(&self.path.join(JOB), &job.to_toml()).map_err(|error| cannot_write(&self.path, error))
    }

    /// The file of events.
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }
}

/// Whether a run has been in `path`.
fn is_used(path: &Path) -> bool {
    [JOB, METRICS, "checkpoints"].iter().any(|name| path.join(name).exists())
}

/// Creates the directory at `path` for a new run, or says that another run has it. The job file is the claim: of two runs
/// that come at once, one creates it.
fn claim(path: &Path, job: &Job) -> Result<bool> {
    if is_used(path) {
        return Ok(false);
    }
    let file = path.join(JOB);
    match std::fs::create_dir_all(path).and_then(|()| File::create_new(&file)) {
        Ok(mut created) => created.write_all(job.to_toml().as_bytes()).map(|()| true).map_err(|error| {
            // Half a job file would hold the directory for nobody.
            let _ = std::fs::remove_file(&file);
            cannot_write(path, error)
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && file.exists() => Ok(false),
        Err(error) => Err(cannot_write(path, error)),
    }
}

/// Locks the directory against other runs, until the process ends, however it ends. A file system without locks gives
/// none, and then only new runs are kept apart.
fn lock(path: &Path) -> Result<Option<File>> {
    let file = File::create(path.join(LOCK)).map_err(|error| cannot_write(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::run_dir(
            path,
            "another run is writing there; wait for its end, or give another --run-dir",
        )),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::run_dir(path, format!("cannot be written: {error}; give another --run-dir"))
}

/// The path as the other ranks are told it, and as events and checkpoints name it.
fn as_text(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::run_dir(path, "is not UTF-8; give another --run-dir"))?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_never_share_a_directory() {
        let runs = tempfile::tempdir().unwrap();
        let job = crate::job::load("jobs/lenet-digits.toml", &["name=lenet".into()]).unwrap().job;
        let choose = |asked: Option<&Path>, resume| RunDir::choose(runs.path(), &job, asked, resume);
        assert!(choose(None, true).unwrap_err().to_string().contains("no run to resume"));
        assert_eq!(choose(None, false).unwrap(), runs.path().join("lenet"));
        assert_eq!(choose(None, true).unwrap(), runs.path().join("lenet"));
        assert_eq!(choose(None, false).unwrap(), runs.path().join("lenet-2"));
        assert_eq!(choose(None, true).unwrap(), runs.path().join("lenet-2"));
        let asked = runs.path().join("lenet");
        assert!(choose(Some(&asked), false).unwrap_err().to_string().contains("--resume"));
        assert_eq!(choose(Some(&asked), true).unwrap(), asked);
        let new = runs.path().join("new");
        assert!(choose(Some(&new), true).is_err());
        assert_eq!(choose(Some(&new), false).unwrap(), new);
    }

    #[test]
    fn of_runs_that_start_at_once_each_gets_its_own() {
        let runs = tempfile::tempdir().unwrap();
        let job = crate::job::load("jobs/lenet-digits.toml", &[]).unwrap().job;
        let start = std::sync::Barrier::new(8);
        let mut chosen: Vec<PathBuf> = std::thread::scope(|scope| {
            let choose = || {
                start.wait();
                RunDir::choose(runs.path(), &job, None, false).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(choose)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        chosen.sort();
        chosen.dedup();
        assert_eq!(chosen.len(), 8);
    }
}
