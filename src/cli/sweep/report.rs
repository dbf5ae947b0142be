//! The table of a sweep: for each setting the mean and the spread over its seeds.

use serde::Serialize;
use serde_json::json;

use super::grid::{Grid, Setting, Trial};
use super::outcome::{Outcome, State, state};
use crate::table::table;
use ternflock_base::error::Result;
use ternflock_job::Metric;
use ternflock_report::json::to_value;
use ternflock_train::TEST;

/// Mean and sample standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, with n - 1; `None` for one value.
    pub deviation: Option<f64>,
}

impl Spread {
    /// The spread of `values`, unless there are none.
    fn of(values: &[f64]) -> Option<Spread> {
        let n = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Spread { mean, deviation: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()) })
    }

    /// Formatted as "91.02 ± 0.13", multiplied by `scale`.
    fn shown(&self, scale: f64, digits: usize) -> String {
        let mean = format!("{:.digits$}", scale * self.mean);
        match self.deviation {
            Some(deviation) => format!("{mean} ± {:.digits$}", scale * deviation),
            None => mean,
        }
    }
}

/// A setting and its runs that have ended.
pub struct Line<'p> {
    setting: &'p Setting,
    trials: usize,
    seeds: Vec<u64>,
    outcomes: Vec<Outcome>,
    diverged: Vec<Diverged>,
}

/// A run that diverged, which has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Diverged {
    /// Its seed.
    pub seed: u64,
    /// The step at which it diverged.
    pub step: u64,
}

/// The results of all settings of `grid`.
///
/// # Errors
/// If a directory holds a run of another job.
pub fn lines(grid: &Grid) -> Result<Vec<Line<'_>>> {
    let line = |trials: &[Trial]| {
        let (mut seeds, mut outcomes, mut diverged) = (Vec::new(), Vec::new(), Vec::new());
        for trial in trials {
            match state(grid, trial)? {
                State::Done(outcome) => {
                    seeds.push(trial.seed);
                    outcomes.push(outcome);
                }
                State::Diverged(step) => diverged.push(Diverged { seed: trial.seed, step }),
                State::Absent | State::Unfinished => {}
            }
        }
        let setting = &grid.settings[trials[0].setting];
        Ok(Line { setting, trials: trials.len(), seeds, outcomes, diverged })
    };
    grid.trials.chunk_by(|one, next| one.setting == next.setting).map(line).collect()
}

impl Line<'_> {
    fn spread(&self, value: impl Fn(&Outcome) -> Option<f64>) -> Option<Spread> {
        Spread::of(&self.outcomes.iter().filter_map(value).collect::<Vec<_>>())
    }

    /// The number of its runs that the figures cover.
    fn counted(&self) -> String {
        match self.outcomes.len() == self.trials {
            true => self.trials.to_string(),
            false => format!("{} of {}", self.outcomes.len(), self.trials),
        }
    }

    /// A description of its runs that diverged, if any did.
    fn said_diverged(&self) -> Option<String> {
        let at: Vec<String> = self.diverged.iter().map(|diverged| diverged.step.to_string()).collect();
        match &at[..] {
            [] => None,
            [step] if self.trials == 1 => Some(format!("diverged at step {step}")),
            [step] => Some(format!("1 diverged, at step {step}")),
            steps => Some(format!("{} diverged, at steps {}", steps.len(), steps.join(", "))),
        }
    }
}

/// The sets that chose the networks of `outcomes`, each once.
fn sets<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Vec<&'a str> {
    let mut sets: Vec<&str> = outcomes.map(|outcome| &*outcome.set).collect();
    sets.sort_unstable();
    sets.dedup();
    sets
}

/// The text report, with one row per setting.
pub fn text(lines: &[Line]) -> String {
    let outcomes = || lines.iter().flat_map(|line| &line.outcomes);
    let measured_by = outcomes().next().map(|outcome| outcome.metric);
    let metric = measured_by.map_or("score", Metric::title);
    let sets = sets(outcomes());
    // If rows were chosen on different sets, each names its own.
    let (set, mixed) = match &sets[..] {
        [] => ("", false),
        [set] => (*set, false),
        _ => ("", true),
    };
    let is_share = measured_by.is_some_and(Metric::is_share);
    let (scale, unit) = if is_share { (100.0, " (%)") } else { (1.0, "") };
    let any = |value: fn(&Outcome) -> Option<f64>| outcomes().any(|outcome| value(outcome).is_some());
    // If the test set chose, its score is already shown.
    let tested = sets.iter().any(|set| *set != TEST);
    let measured = any(|outcome| outcome.sharpness);
    let diverged = lines.iter().any(|line| !line.diverged.is_empty());
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in lines.iter().flat_map(|line| &line.setting.values) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let mut head = vec!["job".to_owned()];
    head.extend(keys.iter().map(|key| (*key).to_owned()));
    head.push("runs".into());
    head.extend(mixed.then(|| "chosen on".to_owned()));
    head.extend([format!("{set} {metric}{unit}").trim().to_owned(), format!("{set} loss").trim().to_owned()]);
    head.extend(tested.then(|| format!("test {metric}{unit}")));
    head.extend(measured.then(|| "sharpness (%)".to_owned()));
    head.extend(diverged.then(String::new));
    let mut rows = vec![head];
    for line in lines {
        let mut row = vec![line.setting.job.clone()];
        row.extend(line.setting.values.iter().map(|(_, value)| value.clone()));
        row.push(line.counted());
        row.extend(mixed.then(|| self::sets(line.outcomes.iter()).join(", ")));
        let cell = |spread: Option<Spread>, scale, digits| {
            spread.map_or("-".into(), |spread: Spread| spread.shown(scale, digits))
        };
        row.push(cell(line.spread(|outcome| Some(outcome.score)), scale, 2));
        row.push(cell(line.spread(|outcome| outcome.loss), 1.0, 4));
        row.extend(tested.then(|| cell(line.spread(|outcome| Some(outcome.test)), scale, 2)));
        row.extend(measured.then(|| cell(line.spread(|outcome| outcome.sharpness), 1.0, 3)));
        row.extend(line.said_diverged());
        rows.push(row);
    }
    let right: Vec<usize> = (1 + keys.len()..rows[0].len() - usize::from(diverged)).collect();
    table(&rows, &right)
}

/// The JSON report, one object.
pub fn json(lines: &[Line]) -> String {
    let settings = lines.iter().map(|line| {
        let values: serde_json::Map<_, _> =
            line.setting.values.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        json!({
            "job": line.setting.job,
            "file": line.setting.file,
            "values": values,
            "runs": line.trials,
            "seeds": line.seeds,
            "outcomes": to_value(&line.outcomes),
            "diverged": line.diverged,
            "score": to_value(&line.spread(|outcome| Some(outcome.score))),
            "loss": to_value(&line.spread(|outcome| outcome.loss)),
            "test": to_value(&line.spread(|outcome| Some(outcome.test))),
            "sharpness": to_value(&line.spread(|outcome| outcome.sharpness)),
        })
    });
    format!("{}\n", json!({ "settings": settings.collect::<Vec<_>>() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_sample_deviations() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[2.0]), Some(Spread { mean: 2.0, deviation: None }));
        let spread = Spread::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(spread, Spread { mean: 2.0, deviation: Some(1.0) });
        assert_eq!(
            (spread.shown(100.0, 1), Spread::of(&[0.5]).unwrap().shown(1.0, 2)),
            ("200.0 ± 100.0".into(), "0.50".into())
        );
    }
}
