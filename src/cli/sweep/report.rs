//! The table of a sweep: of each setting the mean over its seeds, and their spread.

use serde::Serialize;
use serde_json::json;

use super::outcome::{Outcome, State, state};
use super::plan::{Plan, Setting};
use crate::cli::table::table;
use crate::error::Result;

/// Mean and sample standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, with n - 1; none of one value.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Of `values`, unless there are none.
    fn of(values: &[f64]) -> Option<Spread> {
        let n = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Spread { mean, deviation: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()) })
    }

    /// As "91.02 ± 0.13", times `scale`.
    fn shown(&self, scale: f64, digits: usize) -> String {
        let mean = format!("{:.digits$}", scale * self.mean);
        match self.deviation {
            Some(deviation) => format!("{mean} ± {:.digits$}", scale * deviation),
            None => mean,
        }
    }
}

/// A setting and the runs of it that are complete.
pub struct Line<'p> {
    setting: &'p Setting,
    runs: usize,
    seeds: Vec<u64>,
    outcomes: Vec<Outcome>,
}

/// What all of `plan`'s settings have come to.
///
/// # Errors
/// When a directory holds a run of another job.
pub fn lines(plan: &Plan) -> Result<Vec<Line<'_>>> {
    let line = |(number, setting)| {
        let runs: Vec<_> = plan.runs.iter().filter(|run| run.setting == number).collect();
        let (mut seeds, mut outcomes) = (Vec::new(), Vec::new());
        for run in &runs {
            if let State::Done(outcome) = state(run)? {
                seeds.push(run.seed);
                outcomes.push(outcome);
            }
        }
        Ok(Line { setting, runs: runs.len(), seeds, outcomes })
    };
    plan.settings.iter().enumerate().map(line).collect()
}

impl Line<'_> {
    fn spread(&self, value: impl Fn(&Outcome) -> Option<f64>) -> Option<Spread> {
        Spread::of(&self.outcomes.iter().filter_map(value).collect::<Vec<_>>())
    }
}

/// For people: a row for each setting.
pub fn text(lines: &[Line]) -> String {
    let first = lines.iter().flat_map(|line| &line.outcomes).next();
    let (set, metric) = first.map_or(("", "score"), |outcome| (&outcome.set, &outcome.metric));
    let is_share = metric == "accuracy";
    let (scale, unit) = if is_share { (100.0, " (%)") } else { (1.0, "") };
    let any = |value: fn(&Outcome) -> Option<f64>| {
        lines.iter().flat_map(|line| &line.outcomes).any(|outcome| value(outcome).is_some())
    };
    // Where runs are evaluated on the test set, that is their score already.
    let tested = set != "test" && any(|outcome| outcome.test);
    let measured = any(|outcome| outcome.sharpness);
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in lines.iter().flat_map(|line| &line.setting.values) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let mut head = vec!["job".to_owned()];
    head.extend(keys.iter().map(|key| (*key).to_owned()));
    head.extend([
        "runs".into(),
        format!("{set} {metric}{unit}").trim().to_owned(),
        format!("{set} loss").trim().to_owned(),
    ]);
    head.extend(tested.then(|| format!("test {metric}{unit}")));
    head.extend(measured.then(|| "sharpness (%)".to_owned()));
    let mut rows = vec![head];
    for line in lines {
        let mut row = vec![line.setting.job.clone()];
        row.extend(line.setting.values.iter().map(|(_, value)| value.clone()));
        row.push(match line.outcomes.len() == line.runs {
            true => line.runs.to_string(),
            false => format!("{} of {}", line.outcomes.len(), line.runs),
        });
        let cell = |spread: Option<Spread>, scale, digits| {
            spread.map_or("-".into(), |spread: Spread| spread.shown(scale, digits))
        };
        row.push(cell(line.spread(|outcome| Some(outcome.score)), scale, 2));
        row.push(cell(line.spread(|outcome| Some(outcome.loss)), 1.0, 4));
        row.extend(tested.then(|| cell(line.spread(|outcome| outcome.test), scale, 2)));
        row.extend(measured.then(|| cell(line.spread(|outcome| outcome.sharpness), 1.0, 3)));
        rows.push(row);
    }
    let right: Vec<usize> = (1 + keys.len()..rows[0].len()).collect();
    table(&rows, &right)
}

/// For programs: one object.
pub fn json(lines: &[Line]) -> String {
    let settings = lines.iter().map(|line| {
        let values: serde_json::Map<_, _> =
            line.setting.values.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        json!({
            "job": line.setting.job,
            "file": line.setting.file,
            "values": values,
            "runs": line.runs,
            "seeds": line.seeds,
            "outcomes": line.outcomes,
            "score": line.spread(|outcome| Some(outcome.score)),
            "loss": line.spread(|outcome| Some(outcome.loss)),
            "test": line.spread(|outcome| outcome.test),
            "sharpness": line.spread(|outcome| outcome.sharpness),
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
