//! A job as text: complete, always in the same order, and read back to an equal job. Two jobs are equal exactly when
//! their texts are, so the text is what is stored, hashed and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table};
use xxhash_rust::xxh3::xxh3_64;

use crate::job::{Job, read};
use crate::load::Loaded;
use crate::sections::ClipSigmaOver;
use crate::syntax::{Problems, parse};
use ternflock_base::error::{Error, Result};

/// Runs before this key took the standard deviation over all elements, which is no longer the default.
const CLIP_SIGMA_OVER: &str = "exchange.clip_sigma_over";

impl Loaded {
    /// The job with which a run resumes whose stored job is `stored`: where neither the file nor an override gives a key
    /// that a later version added, the run continues as it began ([`Job::from_stored`]), however often it resumes.
    #[must_use]
    pub fn resuming(mut self, stored: &str) -> Loaded {
        if !self.source.gives(CLIP_SIGMA_OVER)
            && let Ok(own) = Job::from_stored(stored)
        {
            self.job.exchange.clip_sigma_over = own.exchange.clip_sigma_over;
        }
        self
    }
}

impl Job {
    /// The complete job file of this job, including defaults.
    ///
    /// # Panics
    /// If `data.dir` is not UTF-8, which is impossible in a job file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("sections of scalars, arrays and tables with string keys are TOML")
    }

    /// Reads the output of [`Job::to_toml`], or any job file that sets `name`. Keys that later versions added
    /// have their defaults.
    ///
    /// # Errors
    /// [`Error::Job`], placed at `job:line`.
    pub fn from_toml(text: &str) -> Result<Job> {
        let (table, source) = parse("job".to_owned(), text)?;
        read(&table, &source, Problems::default(), None, |_| Vec::new())
    }

    /// [`Job::from_toml`] for the stored job of a run. A key that a later version added has the value that describes what
    /// the run did, even where the default is another.
    ///
    /// # Errors
    /// [`Error::Job`], placed at `job:line`.
    pub fn from_stored(text: &str) -> Result<Job> {
        let (table, source) = parse("job".to_owned(), text)?;
        let mut job = read(&table, &source, Problems::default(), None, |_| Vec::new())?;
        if !source.gives(CLIP_SIGMA_OVER) {
            job.exchange.clip_sigma_over = ClipSigmaOver::Elements;
        }
        Ok(job)
    }

    /// A hash of the job, equal on all ranks that run the same job: xxh3 of its canonical text. Comments,
    /// spacing and the order of keys do not affect it; every value does.
    pub fn hash(&self) -> u64 {
        xxh3_64(self.to_toml().as_bytes())
    }

    /// The differences between this job and `other`, by key.
    pub fn differences(&self, other: &Job) -> Vec<Difference> {
        let (old, new) = (values(&self.to_toml()), values(&other.to_toml()));
        let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let said = |value: Option<&String>| value.map_or("not set", |value| value).to_owned();
        let changed = paths.into_iter().filter(|&path| old.get(path) != new.get(path));
        changed
            .map(|path| Difference { key: path.clone(), old: said(old.get(path)), new: said(new.get(path)) })
            .collect()
    }
}

/// A key with different values in two jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its path, such as `train.steps` or `model.layers[2].filters`.
    pub key: String,
    /// The value in the first job, as TOML, or "not set".
    pub old: String,
    /// The value in the other job.
    pub new: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.old, self.new)
    }
}

impl TryFrom<Table> for Job {
    type Error = Error;

    fn try_from(table: Table) -> Result<Self> {
        Job::from_toml(&table.to_string())
    }
}

/// Each value in canonical text, by its path and as it is written there.
pub(super) fn values(text: &str) -> BTreeMap<String, String> {
    let document = DeTable::parse(text).expect("canonical text is TOML");
    let mut values = BTreeMap::new();
    for (key, value) in document.get_ref() {
        flatten(key.get_ref(), value, text, &mut values);
    }
    values
}

/// Tables and arrays of tables are expanded; other arrays are one value.
fn flatten(path: &str, value: &Spanned<DeValue>, text: &str, values: &mut BTreeMap<String, String>) {
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                flatten(&format!("{path}.{}", key.get_ref()), value, text, values);
            }
        }
        DeValue::Array(entries) if entries.iter().any(|entry| entry.get_ref().is_table()) => {
            for (i, entry) in entries.iter().enumerate() {
                flatten(&format!("{path}[{i}]"), entry, text, values);
            }
        }
        _ => {
            values.insert(path.to_owned(), text[value.span()].to_owned());
        }
    }
}
