//! The directory of a run: how it is chosen, and the files in it.
//!
//! `job.toml` the effective job, `run.toml` how it was started, `metrics.jsonl` the events, `checkpoints/` the checkpoints, `.lock` the lock.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::state::find_run::{find, is_used};
use crate::state::run_record::{RECORD, RunRecord};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{Lock, create_directories, create_new, lock, read_text, remove_partials, replace};
use ternflock_job::{Job, Loaded, MOST_BYTES};
use ternflock_world::World;

/// The parent directory of runs without `--run-dir`.
pub(crate) const RUNS: &str = "runs";

const JOB: &str = "job.toml";
const LOCK: &str = ".lock";
const METRICS: &str = "metrics.jsonl";

/// A run's directory. On rank 0 it is locked for the lifetime of this value, so that no other run writes
/// there.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: Option<File>,
}

impl RunDir {
    /// Chooses, on rank 0 for all ranks, the directory of a new run of `loaded`; creates it, and writes the effective
    /// job and the record of its start into it.
    ///
    /// Without `asked`, that is `runs/NAME`, or `runs/NAME-2` and so on if that is taken. An `asked` directory that
    /// holds another run is refused: nothing is ever overwritten, even by two runs that start at the same time.
    pub(crate) fn create(loaded: &Loaded, asked: Option<&Path>, world: &mut World) -> Result<RunDir> {
        let chosen = match world.rank() {
            0 => asked
                .map_or(Ok(String::new()), as_text)
                .and_then(|_| as_text(&choose(Path::new(RUNS), &loaded.job, asked)?)),
            _ => Ok(String::new()),
        };
        let run_dir = RunDir::open(chosen, world)?;
        let text = loaded.job.to_toml();
        let written = match world.rank() {
            0 => RunRecord::of(loaded, &text).write(&run_dir.path),
            _ => Ok(()),
        };
        world.all_or_none(written)?;
        Ok(run_dir)
    }

    /// Finds, on rank 0 for all ranks, the directory of the run to resume: `asked`, or that of the newest run of the
    /// job called `name`. Also returns notes about the choice.
    pub(crate) fn take_up(
        name: &str,
        asked: Option<&Path>,
        world: &mut World,
    ) -> Result<(RunDir, Option<String>)> {
        let found = match world.rank() {
            0 => find(Path::new(RUNS), name, asked).and_then(|(path, note)| Ok((as_text(&path)?, note))),
            _ => Ok((String::new(), None)),
        };
        let (path, note) = match found {
            Ok((path, note)) => (Ok(path), note),
            Err(error) => (Err(error), None),
        };
        let run_dir = RunDir::open(path, world)?;
        let note = world.broadcast(&note.unwrap_or_default())?;
        Ok((run_dir, Some(note).filter(|note| !note.is_empty())))
    }

    /// The directory that rank 0 has `chosen`, locked, on all ranks.
    fn open(chosen: Result<String>, world: &mut World) -> Result<RunDir> {
        let chosen = world.all_or_none(chosen)?;
        let path: PathBuf = world.broadcast(&chosen)?.into();
        let lock = if world.rank() == 0 { claim_alone(&path) } else { Ok(None) };
        Ok(RunDir { _lock: world.all_or_none(lock)?, path })
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the effective job of a resumed run and its record, unless both are already there.
    pub(crate) fn keep(&self, job: &Job, record: &RunRecord) -> Result<()> {
        let (path, text) = (RunDir::job_path(&self.path), job.to_toml());
        let stands = read_text(&path, MOST_BYTES).is_ok_and(|stored| stored == text)
            && RunRecord::read(&self.path).is_ok_and(|stored| stored == *record);
        if stands && record.knows(&text) {
            return Ok(());
        }
        replace(&path, |mut file| file.write_all(text.as_bytes()))
            .map_err(|error| cannot_write(&path, error))?;
        record.clone().with_job(&text).write(&self.path)
    }

    /// The file of events.
    pub fn metrics(&self) -> PathBuf {
        RunDir::metrics_path(&self.path)
    }

    /// The path of the effective job in `run_dir`.
    pub fn job_path(run_dir: &Path) -> PathBuf {
        run_dir.join(JOB)
    }

    /// The path of the events in `run_dir`.
    pub fn metrics_path(run_dir: &Path) -> PathBuf {
        run_dir.join(METRICS)
    }
}

/// Claims a directory for a new run.
fn choose(runs: &Path, job: &Job, asked: Option<&Path>) -> Result<PathBuf> {
    let numbered = |number: u32| match number {
        1 => runs.join(&job.name),
        _ => runs.join(format!("{}-{number}", job.name)),
    };
    match asked {
        Some(path) if claim(path, job)? => Ok(path.into()),
        Some(path) => Err(Error::run_dir(
            path,
            "already holds a run; continue it with --resume, or use another --run-dir",
        )),
        None => {
            let mut number = 1;
            while !claim(&numbered(number), job)? {
                number += 1;
            }
            Ok(numbered(number))
        }
    }
}

/// Creates the directory at `path` for a new run, or reports that another run owns it. The job file is the
/// claim: of two runs that start at the same time, only one creates it.
fn claim(path: &Path, job: &Job) -> Result<bool> {
    if is_used(path) {
        return Ok(false);
    }
    let file = path.join(JOB);
    match create_directories(path).and_then(|()| create_new(&file, job.to_toml().as_bytes())) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && file.exists() => Ok(false),
        Err(error) => Err(cannot_write(path, error)),
    }
}

/// Locks the directory against other runs until the process ends, for whatever reason, and removes the
/// temporary files of a killed run. On a file system without locks, only new runs are kept apart.
fn claim_alone(path: &Path) -> Result<Option<File>> {
    let file = path.join(LOCK);
    let held = match lock(&file).map_err(|error| cannot_write(&file, error))? {
        Lock::Held(held) => Some(held),
        Lock::Unsupported => None,
        Lock::Busy => {
            let message = "another run is writing there; wait for its end, or use another --run-dir";
            return Err(Error::run_dir(path, message));
        }
    };
    remove_partials(path, |name| [JOB, RECORD, METRICS].iter().any(|ours| name == *ours))
        .map_err(|(path, error)| cannot_write(&path, error))?;
    Ok(held)
}

pub(crate) fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::run_dir(path, format!("cannot be written: {error}; use another --run-dir"))
}

/// The path as it is sent to the other ranks and written to events and checkpoints.
fn as_text(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::run_dir(path, "is not UTF-8; use another --run-dir"))?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../jobs/lenet-digits.toml");

    #[test]
    fn runs_never_share_a_directory() {
        let runs = tempfile::tempdir().unwrap();
        let job = ternflock_job::load(DIGITS, &["name=lenet".into()]).unwrap().job;
        let choose = |asked: Option<&Path>| choose(runs.path(), &job, asked);
        assert_eq!(choose(None).unwrap(), runs.path().join("lenet"));
        assert_eq!(choose(None).unwrap(), runs.path().join("lenet-2"));
        let asked = runs.path().join("lenet");
        assert!(choose(Some(&asked)).unwrap_err().to_string().contains("--resume"));
        let new = runs.path().join("new");
        assert_eq!(choose(Some(&new)).unwrap(), new);
        std::fs::remove_dir_all(&asked).unwrap();
        assert_eq!(choose(None).unwrap(), asked);
    }

    #[test]
    fn of_runs_that_start_at_once_each_gets_its_own() {
        let runs = tempfile::tempdir().unwrap();
        let job = ternflock_job::load(DIGITS, &[]).unwrap().job;
        let start = std::sync::Barrier::new(8);
        let mut chosen: Vec<PathBuf> = std::thread::scope(|scope| {
            let choose = || {
                start.wait();
                super::choose(runs.path(), &job, None).unwrap()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(choose)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        chosen.sort();
        chosen.dedup();
        assert_eq!(chosen.len(), 8);
    }
}
