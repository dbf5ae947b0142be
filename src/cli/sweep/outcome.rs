//! What has become of a run, as its directory says.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::plan::Run;
use crate::error::{Error, Result};
use crate::job::Job;

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It has not begun.
    Absent,
    /// It was interrupted, or failed.
    Unfinished,
    /// It is complete.
    Done(Outcome),
}

/// What a complete run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// What it was evaluated on: "validation" or "test".
    pub set: String,
    /// "accuracy" or "perplexity".
    pub metric: String,
    /// That.
    pub score: f64,
    /// The mean loss there.
    pub loss: f64,
    /// All of its time.
    pub seconds: f64,
    /// Its last checkpoint.
    pub checkpoint: PathBuf,
    /// The score of that on the test set, if it was evaluated.
    pub test: Option<f64>,
    /// Its sharpness, if that was measured, in percent.
    pub sharpness: Option<f64>,
}

impl Outcome {
    /// Whether what `ternflock eval` would say with `words` is known already.
    pub fn answers(&self, words: &str) -> bool {
        let sharpness = words.split_whitespace().any(|word| word == "--sharpness");
        self.test.is_some() && (self.sharpness.is_some() || !sharpness)
    }
}

/// The scores that there are.
const METRICS: [&str; 2] = ["accuracy", "perplexity"];

/// Where the evaluation of a run stands.
pub fn evaluation(run: &Run) -> PathBuf {
    run.directory.join("eval.json")
}

/// The state of `run`.
///
/// # Errors
/// When its directory holds a run of another job.
pub fn state(run: &Run) -> Result<State> {
    let Ok(text) = fs::read_to_string(run.directory.join("job.toml")) else { return Ok(State::Absent) };
    let refuse = |why: String| Error::run_dir(&run.directory, why);
    let stored = Job::from_toml(&text).map_err(|error| refuse(format!("its job cannot be read: {error}")))?;
    if let [difference, ..] = &stored.differences(&run.job)[..] {
        return Err(refuse(format!("holds a run of another job ({difference}); give another --into")));
    }
    Ok(outcome(run).map_or(State::Unfinished, State::Done))
}

/// What the run came to, if it came to an end.
fn outcome(run: &Run) -> Option<Outcome> {
    let metrics = fs::read_to_string(run.directory.join("metrics.jsonl")).ok()?;
    let end: Value = serde_json::from_str(metrics.lines().next_back()?).ok()?;
    if end["event"] != "end" || end["complete"] != true {
        return None;
    }
    let (metric, score) = score(&end)?;
    let evaluated = fs::read_to_string(evaluation(run)).ok();
    let evaluated = evaluated.and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default();
    Some(Outcome {
        set: end["set"].as_str()?.to_owned(),
        metric,
        score,
        loss: end["loss"].as_f64()?,
        seconds: end["seconds"].as_f64()?,
        checkpoint: end["checkpoint"].as_str()?.into(),
        test: self::score(&evaluated).map(|(_, score)| score),
        sharpness: evaluated["sharpness"]["sharpness"].as_f64(),
    })
}

fn score(event: &Value) -> Option<(String, f64)> {
    METRICS.iter().find_map(|metric| Some(((*metric).to_owned(), event[*metric].as_f64()?)))
}
