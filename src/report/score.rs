//! The scores of networks, and the names of their samples. Classifiers have an accuracy, and language models
//! a perplexity.

use serde::Serialize;

use ternflock_nn::{Shape, Tally};

/// The task of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Classify samples.
    Classification,
    /// Predict the next token.
    Language,
}

/// The measure of a task. As JSON, its name and value: `"accuracy": 0.9`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// The share of samples that are classified correctly.
    Accuracy(f64),
    /// exp(mean loss per token): 1 means certainty, and V means guessing among V words.
    Perplexity(f64),
}

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

impl Task {
    /// The task of a network for samples of shape `input`.
    pub fn of(input: Shape) -> Task {
        if matches!(input, Shape::Tokens { .. }) { Task::Language } else { Task::Classification }
    }

    /// The score in `tally`.
    pub fn score(self, tally: &Tally) -> Score {
        match self {
            Task::Classification => Score::Accuracy(tally.accuracy()),
            Task::Language => Score::Perplexity(tally.mean_loss().exp()),
        }
    }

    /// The score with the value `value`.
    pub fn measure(self, value: f64) -> Score {
        match self {
            Task::Classification => Score::Accuracy(value),
            Task::Language => Score::Perplexity(value),
        }
    }

    /// `number` samples or tokens.
    pub fn count(self, number: u64) -> Count {
        match self {
            Task::Classification => Count::Samples(number),
            Task::Language => Count::Tokens(number),
        }
    }

    /// `rate` samples or tokens per second.
    pub fn speed(self, rate: f64) -> Speed {
        match self {
            Task::Classification => Speed::SamplesPerS(rate),
            Task::Language => Speed::TokensPerS(rate),
        }
    }
}

impl Score {
    /// "accuracy" or "perplexity".
    pub fn name(self) -> &'static str {
        match self {
            Score::Accuracy(_) => "accuracy",
            Score::Perplexity(_) => "perplexity",
        }
    }

    /// The number.
    pub fn value(self) -> f64 {
        match self {
            Score::Accuracy(value) | Score::Perplexity(value) => value,
        }
    }

    /// Whether the score is better than `other`, a value of the same measure.
    pub fn beats(self, other: f64) -> bool {
        match self {
            Score::Accuracy(value) => value > other,
            Score::Perplexity(value) => value < other,
        }
    }

    /// Whether an evaluation with this score and `loss` is better than one with the value `best` of the same measure
    /// and `best_loss`. If the scores are equal, the lower loss is better; an unknown `best_loss` cannot be beaten.
    pub fn improves(self, loss: f64, best: f64, best_loss: Option<f64>) -> bool {
        self.beats(best) || (self.value() == best && best_loss.is_some_and(|best| loss < best))
    }
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
    fn perplexity_is_the_exponential_of_the_mean_loss_and_less_is_better() {
        let tally = Tally { loss: 8.0 * 10f64.ln(), correct: 2, samples: 8 };
        let Score::Perplexity(perplexity) = Task::Language.score(&tally) else { panic!() };
        assert!((perplexity - 10.0).abs() < 1e-12);
        assert!(Score::Perplexity(9.0).beats(10.0) && !Score::Perplexity(10.0).beats(10.0));
        assert_eq!(Task::Classification.score(&tally), Score::Accuracy(0.25));
        assert!(Score::Accuracy(0.5).beats(0.25) && !Score::Accuracy(0.25).beats(0.25));
    }

    #[test]
    fn of_equal_scores_the_lower_loss_is_better() {
        let all = Score::Accuracy(1.0);
        assert!(all.improves(0.065, 1.0, Some(0.4)) && !all.improves(0.4, 1.0, Some(0.065)));
        assert!(!all.improves(0.4, 1.0, Some(0.4)) && !all.improves(0.1, 1.0, None));
        assert!(all.improves(9.0, 0.9, Some(0.1)) && !Score::Accuracy(0.9).improves(0.1, 1.0, Some(9.0)));
        // Infinite perplexities are equal.
        let endless = Score::Perplexity(f64::INFINITY);
        assert!(
            endless.improves(800.0, f64::INFINITY, Some(900.0)) && !endless.improves(800.0, 3.0, Some(900.0))
        );
    }

    #[test]
    fn each_measure_is_a_key_of_its_own() {
        let json = |value: &dyn Fn() -> serde_json::Result<String>| value().unwrap();
        assert_eq!(json(&|| serde_json::to_string(&Score::Perplexity(2.0))), r#"{"perplexity":2.0}"#);
        assert_eq!(json(&|| serde_json::to_string(&Count::Samples(2))), r#"{"samples":2}"#);
        assert_eq!(json(&|| serde_json::to_string(&Speed::TokensPerS(2.0))), r#"{"tokens_per_s":2.0}"#);
    }
}
