//! The directory of a run: which one it is, and what stands in it.
//!
//! `job.toml` the effective job, `metrics.jsonl` the events, `checkpoints/` the checkpoints.

use std::path::{Path, PathBuf};

use super::world::World;
use crate::error::{Error, Result};
use crate::job::Job;

/// Where runs go that were not given a directory.
const RUNS: &str = "runs";

/// A run's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Chooses the directory on rank 0, for all ranks, and creates it with the effective job in it, unless the run
    /// resumes: then the job is written with [`RunDir::write_job`] once it is known to fit the checkpoint.
    ///
    /// Without `asked`, a new run takes `runs/NAME`, or `runs/NAME-2` and so on where that one is used; a run that
    /// resumes takes the last of these that is used. With `asked`, a new run refuses a directory that holds another
    /// run: nothing is ever overwritten.
    pub fn open(job: &Job, asked: Option<&Path>, resume: bool, world: &mut World) -> Result<RunDir> {
        // Only rank 0 looks, because what it finds may change while others look too.
        let chosen = match world.rank() {
            0 => RunDir::choose(Path::new(RUNS), &job.name, asked, resume).and_then(|path| {
                let run_dir = RunDir { path };
                if resume { Ok(()) } else { run_dir.write_job(job) }.map(|()| run_dir)
            }),
            _ => Ok(RunDir { path: PathBuf::new() }),
        };
        let chosen = world.together(chosen)?.path.display().to_string();
        Ok(RunDir { path: world.broadcast(&chosen)?.into() })
    }

    fn choose(runs: &Path, name: &str, asked: Option<&Path>, resume: bool) -> Result<PathBuf> {
        if let Some(path) = asked {
            return match (is_used(path), resume) {
                (true, false) => Err(Error::run_dir(
                    path,
                    "holds a run already; continue it with --resume, or give another --run-dir",
                )),
                (false, true) => {
                    Err(Error::run_dir(path, "holds no run to resume; start one without --resume"))
                }
                _ => Ok(path.into()),
            };
        }
        let numbered = |number: u32| match number {
            1 => runs.join(name),
            _ => runs.join(format!("{name}-{number}")),
        };
        let free = (1..).find(|&number| !is_used(&numbered(number))).unwrap_or(u32::MAX);
        match (resume, free) {
            (false, _) => Ok(numbered(free)),
            (true, 1) => {
                Err(Error::run_dir(numbered(1), "holds no run to resume; start one without --resume"))
            }
            (true, _) => Ok(numbered(free - 1)),
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the effective job into the directory, which is created if need be.
    pub fn write_job(&self, job: &Job) -> Result<()> {
        std::fs::create_dir_all(&self.path)
            .and_then(|()| write_whole(&self.path.join("job.toml"), &job.to_toml()))
            .map_err(|e| Error::run_dir(&self.path, format!("cannot be written: {e}")))
    }

    /// The file of events.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }
}

/// Whether a run has been in `path`.
fn is_used(path: &Path) -> bool {
    ["job.toml", "metrics.jsonl", "checkpoints"].iter().any(|name| path.join(name).exists())
}

/// Writes `text` so that `path` holds all of it or what it held before.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_never_share_a_directory() {
        let runs = tempfile::tempdir().unwrap();
        let choose = |asked: Option<&Path>, resume| RunDir::choose(runs.path(), "lenet", asked, resume);
        let used = |name: &str| {
            std::fs::create_dir_all(runs.path().join(name)).unwrap();
            std::fs::write(runs.path().join(name).join("job.toml"), "").unwrap();
        };
        assert!(choose(None, true).unwrap_err().to_string().contains("no run to resume"));
        assert_eq!(choose(None, false).unwrap(), runs.path().join("lenet"));
        used("lenet");
        assert_eq!(choose(None, false).unwrap(), runs.path().join("lenet-2"));
        assert_eq!(choose(None, true).unwrap(), runs.path().join("lenet"));
        used("lenet-2");
        assert_eq!(choose(None, true).unwrap(), runs.path().join("lenet-2"));
        let asked = runs.path().join("lenet");
        assert!(choose(Some(&asked), false).unwrap_err().to_string().contains("--resume"));
        assert_eq!(choose(Some(&asked), true).unwrap(), asked);
        let new = runs.path().join("new");
        assert_eq!(choose(Some(&new), false).unwrap(), new);
        assert!(choose(Some(&new), true).is_err());
    }
}
