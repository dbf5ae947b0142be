//! `run.toml` in the directory of a run: when and how the run was started, for `--resume`.

use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::state::run_dir::cannot_write;
use ternflock_base::clock::{is_rfc3339_micros, rfc3339_micros};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{read_text, replace};
use ternflock_job::{Loaded, MOST_BYTES, parse_table};

/// The file name of the record.
pub(crate) const RECORD: &str = "run.toml";

/// How a run was started. `job.toml` has its effective job; this record tells which values did not come from the job
/// file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    /// The start time by the clock of rank 0's host: RFC 3339, UTC, to the microsecond.
    pub started: String,
    /// The job file.
    pub job_file: String,
    /// The overrides (`--set`) of the run: those of its first start, then those of each later start that was
    /// allowed to change something. Starts without overrides are left out.
    pub sets: Vec<Vec<String>>,
    /// The hash of `job.toml` as the program wrote it.
    pub job_hash: String,
}

impl RunRecord {
    /// Makes the record of a run of `loaded` that starts now with `text` as its `job.toml`.
    pub fn of(loaded: &Loaded, text: &str) -> RunRecord {
        let record = RunRecord {
            started: rfc3339_micros(SystemTime::now()),
            job_file: loaded.file().to_owned(),
            sets: Vec::new(),
            job_hash: hash(text),
        };
        record.with_sets(loaded.sets())
    }

    /// The same record after a start with the overrides `sets`.
    pub fn with_sets(mut self, sets: &[String]) -> RunRecord {
        self.sets.extend((!sets.is_empty()).then(|| sets.to_vec()));
        self
    }

    /// Whether `text` is the `job.toml` that the program wrote; unknown if the run has no record.
    pub fn knows(&self, text: &str) -> bool {
        self.job_hash.is_empty() || self.job_hash == hash(text)
    }

    /// The same record for a `job.toml` that is now `text`.
    pub fn with_job(self, text: &str) -> RunRecord {
        RunRecord { job_hash: hash(text), ..self }
    }

    /// The record in `run_dir`. A run by a version without records, or one that was killed during its start, has none;
    /// its start time is then that of its `job.toml`, and its overrides are unknown.
    ///
    /// # Errors
    /// [`Error::RunDir`] if there is one that cannot be read.
    pub fn read(run_dir: &Path) -> Result<RunRecord> {
        let path = run_dir.join(RECORD);
        match read_text(&path, MOST_BYTES) {
            Ok(text) => RunRecord::parse(&text).map_err(|reason| {
                Error::run_dir(&path, format!("is not what the program wrote: {reason}; remove it"))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(RunRecord::lost(run_dir)),
            Err(error) => Err(Error::run_dir(&path, format!("cannot be read: {error}"))),
        }
    }

    /// The record of a run without one: only the time at which its job was written is known.
    pub fn lost(run_dir: &Path) -> RunRecord {
        let written = std::fs::metadata(run_dir.join("job.toml")).and_then(|job| job.modified());
        RunRecord { started: written.map(rfc3339_micros).unwrap_or_default(), ..RunRecord::default() }
    }

    fn parse(text: &str) -> std::result::Result<RunRecord, String> {
        let record: RunRecord =
            parse_table(text)?.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        match record.started.is_empty() || is_rfc3339_micros(&record.started) {
            true => Ok(record),
            false => Err(format!("`started = \"{}\"` is not a time", record.started)),
        }
    }

    /// Writes the record into `run_dir` atomically.
    ///
    /// # Errors
    /// [`Error::RunDir`] if it cannot be written.
    pub fn write(&self, run_dir: &Path) -> Result<()> {
        let text = toml::to_string(self).expect("strings and lists of strings are TOML");
        let text = format!("# How the run was started; `ternflock train --resume` reads it.\n{text}");
        let path = run_dir.join(RECORD);
        replace(&path, |mut file| file.write_all(text.as_bytes())).map_err(|error| cannot_write(&path, error))
    }
}

fn hash(text: &str) -> String {
    format!("{:016x}", xxh3_64(text.as_bytes()))
}
