//! The state of a run according to its directory.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::grid::{Grid, Trial};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_text;
use ternflock_job::{Job, MOST_BYTES, Metric};
use ternflock_report::json::number;
use ternflock_report::last_event;
use ternflock_train::RunDir;

/// The state of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It has not begun.
    Absent,
    /// It was interrupted, or failed.
    Unfinished,
    /// Its loss, a gradient or a parameter became NaN or infinite in this step. It would do so again, so this
    /// is the outcome of the run.
    Diverged(u64),
    /// It is complete.
    Done(Outcome),
}

/// The outcome of a complete run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The set that chose its network: "validation" or "test".
    pub set: String,
    /// The metric that chose its network.
    pub metric: Metric,
    /// The score of the chosen network on that set.
    pub score: f64,
    /// The mean loss there.
    pub loss: Option<f64>,
    /// Its total time.
    pub seconds: f64,
    /// The checkpoint of the chosen network.
    pub checkpoint: PathBuf,
    /// Its score on the test set; NaN without one.
    pub test: f64,
    /// Its sharpness, if that was measured, in percent.
    pub sharpness: Option<f64>,
    /// Whether `ternflock eval` has also measured it.
    pub evaluated: bool,
}

impl Outcome {
    /// Whether the result of `ternflock eval` with `words` is already known.
    pub fn answers(&self, words: &str) -> bool {
        let sharpness = words.split_whitespace().any(|word| word == "--sharpness");
        self.evaluated && (self.sharpness.is_some() || !sharpness)
    }
}

/// The path of the evaluation of a run.
pub fn evaluation(trial: &Trial) -> PathBuf {
    trial.directory.join("eval.json")
}

/// The state of `trial` of `grid`.
///
/// # Errors
/// If its directory holds a run of another job.
pub fn state(grid: &Grid, trial: &Trial) -> Result<State> {
    let refuse = |why: String| Error::run_dir(&trial.directory, why);
    let text = match read_text(&RunDir::job_path(&trial.directory), MOST_BYTES) {
        Ok(text) => text,
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(State::Absent);
        }
        Err(error) => return Err(refuse(format!("its job.toml cannot be read: {error}"))),
    };
    let stored =
        Job::from_stored(&text).map_err(|error| refuse(format!("its job cannot be read: {error}")))?;
    if let [difference, ..] = &stored.differences(&grid.job(trial)?)[..] {
        return Err(refuse(format!("holds a run of another job ({difference}); use another --into")));
    }
    let Some(last) = last_event(&RunDir::metrics_path(&trial.directory)) else {
        return Ok(State::Unfinished);
    };
    Ok(diverged(&last).unwrap_or_else(|| outcome(trial, &last).map_or(State::Unfinished, State::Done)))
}

/// Whether the run ended because it diverged, according to its `last` event.
fn diverged(last: &Value) -> Option<State> {
    let end = Some(last).filter(|event| event["event"] == "end" && event["status"] == "diverged")?;
    end["step"].as_u64().map(State::Diverged)
}

/// The outcome of the run if its `last` event marks it as complete.
fn outcome(trial: &Trial, last: &Value) -> Option<Outcome> {
    let end = Some(last).filter(|event| event["event"] == "end" && event["complete"] == true)?;
    let (metric, chosen) = score(&end["chosen"])?;
    let evaluated = read_text(&evaluation(trial), MOST_BYTES).ok();
    let evaluated = evaluated.and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default();
    Some(Outcome {
        set: end["set"].as_str()?.to_owned(),
        metric,
        score: chosen,
        loss: number(&end["chosen"]["loss"]),
        seconds: number(&end["seconds"])?,
        checkpoint: end["chosen"]["checkpoint"].as_str()?.into(),
        test: end["test"].get(metric.name()).and_then(number).unwrap_or(f64::NAN),
        sharpness: number(&evaluated["sharpness"]["sharpness"]),
        evaluated: score(&evaluated).is_some(),
    })
}

fn score(event: &Value) -> Option<(Metric, f64)> {
    // A score that is undefined is `null`.
    let value = |metric: Metric| event.get(metric.name()).map(|value| number(value).unwrap_or(f64::NAN));
    Metric::all().find_map(|metric| Some((metric, value(metric)?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A later start is another attempt, which may have succeeded.
    #[test]
    fn a_run_has_diverged_if_its_last_event_says_so() {
        let end = |step: u64, status: &str| json!({"event": "end", "step": step, "status": status});
        assert_eq!(diverged(&end(7, "diverged")), Some(State::Diverged(7)));
        assert_eq!(diverged(&end(9, "complete")), None);
        assert_eq!(diverged(&end(7, "failed")), None);
        assert_eq!(diverged(&json!({"event": "train", "step": 3})), None);
    }
}
