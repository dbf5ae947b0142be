//! The scores of networks, and the names of their samples.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use ternflock_job::Metric;

/// The value of a metric. As JSON, its name and value: `"accuracy": 0.9`; an undefined value is `null`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The metric.
    pub metric: Metric,
    /// The value; NaN if it is undefined, such as R² of targets that are all equal.
    pub value: f64,
}

/// Several scores, in one JSON object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores(pub Vec<Score>);

/// A number of samples. As JSON, `"samples": 64` or `"tokens": 2240`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// Number of samples, for a classifier.
    Samples(u64),
    /// Number of tokens, for a language model.
    Tokens(u64),
}

/// A rate of samples per second. As JSON, `"samples_per_s": 5e3` or `"tokens_per_s": 5e3`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// Samples per second, for a classifier.
    SamplesPerS(f64),
    /// Tokens per second, for a language model.
    TokensPerS(f64),
}

impl Score {
    /// The value `value` of `metric`.
    pub fn new(metric: Metric, value: f64) -> Score {
        Score { metric, value }
    }

    /// The same for a value that may be undefined.
    pub fn of(metric: Metric, value: Option<f64>) -> Score {
        Score { metric, value: value.unwrap_or(f64::NAN) }
    }

    /// The name of the metric, as in events.
    pub fn name(self) -> &'static str {
        self.metric.name()
    }

    /// The value, if it is defined.
    pub fn defined(self) -> Option<f64> {
        Some(self.value).filter(|value| !value.is_nan())
    }

    /// Whether the score is better than `other`, a value of the same metric. Every value is better than an undefined one.
    pub fn beats(self, other: f64) -> bool {
        match self.metric.greater_is_better() {
            _ if other.is_nan() => !self.value.is_nan(),
            true => self.value > other,
            false => self.value < other,
        }
    }

    /// Whether an evaluation with this score and `loss` is better than one with the value `best` of the same metric
    /// and `best_loss`. If the scores are equal, the lower loss is better; an unknown `best_loss` cannot be beaten.
    pub fn improves(self, loss: f64, best: f64, best_loss: Option<f64>) -> bool {
        let is_equal = self.value == best || (self.value.is_nan() && best.is_nan());
        self.beats(best) || (is_equal && best_loss.is_some_and(|best| loss < best))
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        entries(&[*self], serializer)
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        entries(&self.0, serializer)
    }
}

fn entries<S: Serializer>(scores: &[Score], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(scores.len()))?;
    for score in scores {
        map.serialize_entry(score.name(), &score.defined())?;
    }
    map.end()
}

impl Count {
    /// The number.
    pub fn number(self) -> u64 {
        match self {
            Count::Samples(number) | Count::Tokens(number) => number,
        }
    }

    /// "samples" or "tokens".
    pub fn unit(self) -> &'static str {
        match self {
            Count::Samples(_) => "samples",
            Count::Tokens(_) => "tokens",
        }
    }
}

impl Speed {
    /// Per second.
    pub fn rate(self) -> f64 {
        match self {
            Speed::SamplesPerS(rate) | Speed::TokensPerS(rate) => rate,
        }
    }

    /// "samples" or "tokens".
    pub fn unit(self) -> &'static str {
        match self {
            Speed::SamplesPerS(_) => "samples",
            Speed::TokensPerS(_) => "tokens",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_lower_loss_is_better() {
        let all = Score::new(Metric::Accuracy, 1.0);
        assert!(all.improves(0.065, 1.0, Some(0.4)) && !all.improves(0.4, 1.0, Some(0.065)));
        assert!(!all.improves(0.4, 1.0, Some(0.4)) && !all.improves(0.1, 1.0, None));
        assert!(
            all.improves(9.0, 0.9, Some(0.1))
                && !Score::new(Metric::Accuracy, 0.9).improves(0.1, 1.0, Some(9.0))
        );
        // Infinite perplexities are equal.
        let endless = Score::new(Metric::Perplexity, f64::INFINITY);
        assert!(
            endless.improves(800.0, f64::INFINITY, Some(900.0)) && !endless.improves(800.0, 3.0, Some(900.0))
        );
    }

    #[test]
    fn the_metric_says_which_value_is_better_and_any_is_better_than_none() {
        for metric in Metric::all() {
            let (better, worse) = if metric.greater_is_better() { (2.0, 1.0) } else { (1.0, 2.0) };
            assert!(Score::new(metric, better).beats(worse) && !Score::new(metric, worse).beats(better));
            assert!(!Score::new(metric, worse).beats(worse));
            let none = Score::of(metric, None);
            assert!(Score::new(metric, worse).beats(f64::NAN) && !none.beats(worse) && !none.beats(f64::NAN));
            assert!(none.improves(1.0, f64::NAN, Some(2.0)) && !none.improves(1.0, worse, Some(2.0)));
            assert_eq!(Metric::named(metric.name()), Some(metric));
        }
        assert_eq!(Metric::named("loss"), None);
    }

    #[test]
    fn each_metric_is_a_key_of_its_own() {
        let json = |value: &dyn Fn() -> serde_json::Result<String>| value().unwrap();
        assert_eq!(
            json(&|| serde_json::to_string(&Score::new(Metric::Perplexity, 2.0))),
            r#"{"perplexity":2.0}"#
        );
        let scores = Scores(vec![Score::of(Metric::R2, None), Score::new(Metric::Top5, 0.5)]);
        assert_eq!(json(&|| serde_json::to_string(&scores)), r#"{"r2":null,"top_5":0.5}"#);
        assert_eq!(json(&|| serde_json::to_string(&Count::Samples(2))), r#"{"samples":2}"#);
        assert_eq!(json(&|| serde_json::to_string(&Speed::TokensPerS(2.0))), r#"{"tokens_per_s":2.0}"#);
    }
}
