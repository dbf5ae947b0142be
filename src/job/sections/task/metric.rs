//! The metrics of networks: the only place that knows their names, and which of two values is better.

use serde::Serialize;

use crate::syntax::{Choice, choices, word};

/// A metric, by which networks are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of samples that are classified correctly; of several labels, all of them.
    Accuracy,
    /// The share of samples whose class is among the five with the largest outputs.
    #[serde(rename = "top_5")]
    Top5,
    /// The mean over classes of the harmonic mean of precision and recall.
    #[serde(rename = "macro_f1")]
    MacroF1,
    /// The root of the mean squared error, in the unit of the targets.
    Rmse,
    /// The mean absolute error, in the unit of the targets.
    Mae,
    /// The coefficient of determination.
    #[serde(rename = "r2")]
    R2,
    /// exp(mean loss per token): 1 means certainty, and V means guessing among V words.
    Perplexity,
}

choices! {
    Metric:
    Accuracy = "accuracy",
    Top5 = "top_5",
    MacroF1 = "macro_f1",
    Rmse = "rmse",
    Mae = "mae",
    R2 = "r2",
    Perplexity = "perplexity",
}

impl Metric {
    /// The name in job files, events and checkpoints.
    pub fn name(self) -> &'static str {
        word(self)
    }

    /// The metric called `name`.
    pub fn named(name: &str) -> Option<Metric> {
        Metric::CHOICES.iter().find(|(other, _)| *other == name).map(|(_, metric)| *metric)
    }

    /// All metrics.
    pub fn all() -> impl Iterator<Item = Metric> {
        Metric::CHOICES.iter().map(|(_, metric)| *metric)
    }

    /// The name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Top5 => "top-5 accuracy",
            Metric::MacroF1 => "macro F1",
            Metric::Rmse => "RMSE",
            Metric::Mae => "MAE",
            Metric::R2 => "R²",
            Metric::Accuracy | Metric::Perplexity => self.name(),
        }
    }

    /// Whether the larger of two values is better.
    pub fn greater_is_better(self) -> bool {
        match self {
            Metric::Accuracy | Metric::Top5 | Metric::MacroF1 | Metric::R2 => true,
            Metric::Rmse | Metric::Mae | Metric::Perplexity => false,
        }
    }

    /// Whether its values are shares of samples, which people read as percentages.
    pub fn is_share(self) -> bool {
        matches!(self, Metric::Accuracy | Metric::Top5 | Metric::MacroF1)
    }
}
