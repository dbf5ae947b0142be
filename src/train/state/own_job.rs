//! A resumed run continues with its own job. The requested job must be the same, or the changes must be
//! allowed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::run::entry::Options;
use crate::setup::construct::wrong_layers;
use crate::state::find_run::find;
use crate::state::run_dir::{RUNS, RunDir};
use crate::state::run_record::RunRecord;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_text;
use ternflock_checkpoint::Store;
use ternflock_job::MOST_BYTES;
use ternflock_job::{self as job, Difference, Job, Loaded};
use ternflock_report::{Last, Status, last};
use ternflock_world::{Patience, World};

/// A run that is resumed.
pub(crate) struct TakenUp {
    /// Its directory, locked by rank 0.
    pub run_dir: RunDir,
    /// Its record from now on.
    pub record: RunRecord,
    /// The changes to its job, all of which were allowed.
    pub changes: Vec<Difference>,
    /// Notes for the log.
    pub notes: Vec<String>,
}

/// The stored state of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    record: RunRecord,
    /// The effective job; `None` if the run was stopped before it could write it.
    job: Option<String>,
    /// How the run ended; `None` if it has not begun.
    last: Option<Last>,
    /// Whether the requested job file is the run's own, which contains all of its overrides already.
    by_own_job: bool,
    /// The checkpoints of the run, newest first, if the run has diverged.
    checkpoints: Vec<PathBuf>,
}

/// Finds, on all ranks, the run that `options` ask to resume and the job with which it continues: `asked` with the
/// overrides that the run was started with.
///
/// # Errors
/// If there is no such run. Unless changes are allowed, also if it diverged, or if its own job differs from
/// the requested one.
pub(crate) fn take_up(asked: &Loaded, options: &Options, world: &mut World) -> Result<(Loaded, TakenUp)> {
    world.set_context(format_args!("start of the run, opening its directory"));
    let (run_dir, picked) = RunDir::take_up(&asked.job.name, options.run_dir.as_deref(), world)?;
    let stored = (world.rank() == 0).then(|| Stored::read(run_dir.path(), asked)).transpose();
    let stored = world.all_or_none(stored)?;
    // Only rank 0 has read the directory, so that all ranks have the same data.
    let text = stored.map(|stored| serde_json::to_string(&stored).expect("texts and names are JSON"));
    let text = world.broadcast(&text.unwrap_or_default())?;
    let stored: std::result::Result<Stored, _> = serde_json::from_str(&text);
    let stored =
        stored.map_err(|error| Error::Exchange(format!("the run's record arrived damaged: {error}")));
    let resolved = stored.and_then(|stored| {
        resolve(asked, run_dir.path(), &stored, options.allow_changes).map(|own| (own, stored))
    });
    let ((loaded, changes), stored) = world.all_or_none(resolved)?;
    let mut notes = Vec::from_iter(picked);
    if stored.last == Some(Last::CutOff) {
        notes.push("the run was cut off: it did not record how it ended".into());
    }
    let mut record = stored.record;
    if record.job_file.is_empty() {
        record.job_file = asked.file().to_owned();
    }
    if !changes.is_empty() {
        record = record.with_sets(asked.sets());
    }
    Ok((loaded, TakenUp { run_dir, record, changes, notes }))
}

/// Reads the job file `file`, with the overrides `sets`, for a run that resumes. If the file is incomplete by itself,
/// the overrides that the run was started with are applied first.
///
/// # Errors
/// Those of [`crate::load`].
pub fn load_to_resume(file: &Path, sets: &[String], run_dir: Option<&Path>) -> Result<Loaded> {
    job::load_checked(file, sets, wrong_layers).or_else(|error| {
        let with_its_own = || {
            let (path, _) = find(Path::new(RUNS), &job::name_in(file)?, run_dir).ok()?;
            job::load_after(file, &RunRecord::read(&path).ok()?.sets, sets, wrong_layers).ok()
        };
        with_its_own().ok_or(error)
    })
}

/// The timeouts for the ranks of a run before they have connected; if it resumes, those of its own job. A
/// rank that does not see the directory uses the requested ones, until it fails to read the checkpoint that
/// all ranks read.
pub fn patience(asked: &Loaded, options: &Options) -> Patience {
    let own = || {
        let (path, _) = find(Path::new(RUNS), &asked.job.name, options.run_dir.as_deref()).ok()?;
        let stored = Stored::read(&path, asked).ok()?;
        let (own, _) = resolve(asked, &path, &stored, options.allow_changes).ok()?;
        Some(Patience::of(&own.job.exchange))
    };
    // Errors are reported once the ranks have connected.
    options.resume.then(own).flatten().unwrap_or_else(|| Patience::of(&asked.job.exchange))
}

impl Stored {
    fn read(run_dir: &Path, asked: &Loaded) -> Result<Stored> {
        let job = RunDir::job_path(run_dir);
        let by_own_job = is_same_file(Path::new(asked.file()), &job);
        let text = match job.exists() {
            true => Some(
                read_text(&job, MOST_BYTES)
                    .map_err(|error| Error::run_dir(&job, format!("cannot be read: {error}")))?,
            ),
            false => Store::newest_job(run_dir)?,
        };
        let last = last(&RunDir::metrics_path(run_dir));
        let checkpoints = match last {
            Some(Last::End(Status::Diverged)) => Store::newest_paths(run_dir),
            _ => Vec::new(),
        };
        Ok(Stored { record: RunRecord::read(run_dir)?, job: text, last, by_own_job, checkpoints })
    }
}

/// Whether both paths lead to the same file, however they are written.
fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The job of the run in `path` as requested by `asked`, and its differences from the stored job.
fn resolve(
    asked: &Loaded,
    path: &Path,
    stored: &Stored,
    allow_changes: bool,
) -> Result<(Loaded, Vec<Difference>)> {
    if stored.last == Some(Last::End(Status::Diverged)) && !allow_changes {
        return Err(Error::run_dir(path, diverged(&stored.checkpoints)));
    }
    let Some(text) = &stored.job else { return Ok((asked.clone(), Vec::new())) };
    if !stored.record.knows(text) && !allow_changes {
        let message = "was changed since the run wrote it: restore it (`h5dump -d /job` of a checkpoint \
            prints it), or accept the change with --allow-changes";
        return Err(Error::run_dir(RunDir::job_path(path), message));
    }
    let own = Job::from_stored(text)
        .map_err(|error| Error::run_dir(RunDir::job_path(path), format!("cannot be read: {error}")))?;
    let wanted = if stored.by_own_job { Ok(asked.clone()) } else { asked.after(&stored.record.sets) };
    let wanted = wanted.map_err(|error| with_own_sets(error, path, &stored.record.sets))?.resuming(text);
    let differences = own.differences(&wanted.job);
    if differences.is_empty() || allow_changes {
        return Ok((wanted, differences));
    }
    Err(refusal(path, &differences, &wanted))
}

/// Advice for a run that has diverged and has these `checkpoints`, newest first.
fn diverged(checkpoints: &[PathBuf]) -> String {
    let advice = "this run has diverged: a loss, a gradient or a parameter was no longer finite, and the same steps would end the \
                  same way. Change what made it diverge, as in `--allow-changes --set optimizer.learning_rate=...`, start a new \
                  run, or resume another one (--resume RUN_DIR)";
    match checkpoints {
        [] => advice.into(),
        [newest] => format!(
            "{advice}. If it diverges again soon, the weights in its only checkpoint, {}, are too large already: start a new run",
            newest.display()
        ),
        [newest, earlier, ..] => format!(
            "{advice}. If it diverges again soon, the weights in its newest checkpoint are too large already: move {} away to \
             resume from {}",
            newest.display(),
            earlier.display()
        ),
    }
}

/// The error if the overrides that a run was started with do not fit the job file that it is resumed with.
fn with_own_sets(error: Error, path: &Path, sets: &[Vec<String>]) -> Error {
    match error {
        Error::Job { at, message } if !sets.is_empty() => {
            let run = path.display();
            let sets = sets.concat().join(", ");
            let hint = format!(
                "{message}\n(the overrides of the run in {run} apply: {sets}; `ternflock train --resume \
                 {run}` resumes it unchanged)"
            );
            Error::Job { at, message: hint }
        }
        other => other,
    }
}

/// The error if the job of the run in `path` differs from `wanted`.
fn refusal(path: &Path, differences: &[Difference], wanted: &Loaded) -> Error {
    let line = |Difference { key, old, new }: &Difference| {
        format!("\n  {key}: {old} in the run, {new} requested ({})", wanted.source.at(key))
    };
    let lines: String = differences.iter().map(line).collect();
    let run = path.display();
    let message = format!(
        "this run cannot continue as it began, because the requested job differs from its \
         own:{lines}\n`ternflock train --resume {run}` resumes it unchanged; --allow-changes accepts the \
         changes"
    );
    Error::Job { at: run.to_string(), message }
}
