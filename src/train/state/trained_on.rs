//! Compares the data that a checkpoint was trained on with the present data.

use std::collections::BTreeMap;
use std::path::Path;

use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{Data, Snapshot};
use ternflock_data::Facts;
use ternflock_job::{self as job, Job, Split, Validation};

use crate::setup::feeds::{TEST, VALIDATION};

/// Refuses the checkpoint at `path`, whose job is `stored`, if an earlier version split its data in a way
/// that this one does not: samples that it was trained on would be mistaken for others. `instead` is the
/// advice.
///
/// # Errors
/// [`Error::Checkpoint`].
pub fn check_split(path: &Path, snapshot: &Snapshot, stored: &Job, instead: &str) -> Result<()> {
    if !was_split_at_the_end(snapshot, stored) {
        return Ok(());
    }
    let message = format!(
        "was begun by an earlier version, whose validation split was the end of the training set; this one draws it at random: \
         {instead}"
    );
    Err(Error::checkpoint(path, message))
}

/// Versions without a seed for the split used the end of the training set.
fn was_split_at_the_end(snapshot: &Snapshot, stored: &Job) -> bool {
    let is_split = matches!(stored.data.split, Some(Split { validation: Validation::Count(1..), .. }));
    is_split && !snapshot.job.contains("validation_seed")
}

/// The facts of a set as checkpoints hold them.
pub(crate) fn named(facts: Facts) -> BTreeMap<String, String> {
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The differences between data with the facts `here` and those that `snapshot` was trained with. Sets that
/// only one of them has are ignored.
pub(crate) fn differences(snapshot: &Snapshot, here: &Data) -> Vec<String> {
    snapshot.data.iter().filter_map(|(set, was)| differs(set, was, here.get(set)?)).collect()
}

/// The same for the one set called `set`, with the facts `here`.
pub fn difference(snapshot: &Snapshot, set: &str, here: Facts) -> Option<String> {
    differs(set, snapshot.data.get(set)?, &named(here))
}

/// The differences between a set as it `was` and as it `is`. Facts that only one of them has are ignored.
fn differs(set: &str, was: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Option<String> {
    let known = was.iter().filter_map(|(fact, was)| Some((fact, was, is.get(fact)?)));
    let changed: Vec<_> = known
        .filter(|(_, was, is)| was != is)
        .map(|(fact, was, is)| match fact.as_str() {
            // Hashes are not worth comparing by eye.
            "labels" | "contents" | "selection" | "preparation" => format!("other {fact}"),
            _ => format!("{fact} {was} -> {is}"),
        })
        .collect();
    (!changed.is_empty()).then(|| format!("the {set} set has {}", changed.join(", ")))
}

/// A warning if a run of `job` begins with parameters that were trained on samples of its validation set:
/// those of `snapshot`, from the file at `path`, whose data are the same as `here` except for the split.
pub(crate) fn learnt_validation(path: &Path, snapshot: &Snapshot, job: &Job, here: &Data) -> Option<String> {
    job.data.split?;
    let own = here.get(VALIDATION)?;
    let stored = Job::from_toml(&snapshot.job).ok()?;
    let is_same_data = match (snapshot.data.get(TEST), here.get(TEST)) {
        (Some(was), Some(is)) => differs(TEST, was, is).is_none(),
        // Files of earlier versions do not identify their data.
        _ => (&stored.data.dataset, &stored.data.dir) == (&job.data.dataset, &job.data.dir),
    };
    let is_same_split = match snapshot.data.get(VALIDATION) {
        Some(was) => differs(VALIDATION, was, own).is_none(),
        None if snapshot.data.is_empty() => {
            stored.data.split == job.data.split && !was_split_at_the_end(snapshot, &stored)
        }
        None => false,
    };
    if !is_same_data || is_same_split {
        return None;
    }
    let split_off = if was_split_at_the_end(snapshot, &stored) {
        "split off the end of the training set".to_owned()
    } else if is_without_split(&stored.data)
        || !snapshot.data.is_empty() && !snapshot.data.contains_key(VALIDATION)
    {
        format!("split off none of the training samples ({})", no_split(&stored.data))
    } else {
        format!("split off other samples ({})", split_of(&stored.data))
    };
    Some(format!(
        "the run of {}, whose parameters this one begins with, {split_off}: they were trained on samples of \
         the validation set ({}), so the evaluations that choose the network will be better than those on \
         new data",
        path.display(),
        split_of(&job.data)
    ))
}

fn is_without_split(data: &job::Data) -> bool {
    matches!(data.split, None | Some(Split { validation: Validation::Count(0), .. }))
}

/// Why data that could be split are not.
pub(crate) fn no_split(data: &job::Data) -> &'static str {
    match is_without_split(data) {
        true => "data.validation = 0",
        false => "too few training samples for a validation split",
    }
}

/// The split of the data, in the words of a job file.
fn split_of(data: &job::Data) -> String {
    let Some(Split { validation, validation_seed }) = data.split else { return "no split".to_owned() };
    let validation = serde_json::to_string(&validation).unwrap_or_default();
    format!("data.validation = {validation}, data.validation_seed = {validation_seed}")
}
