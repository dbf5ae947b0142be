//! The values of `[task]` that are words or lists.

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use toml::Value;

use super::metric::Metric;
use crate::syntax::{FromValue, choices, word};

/// What a network predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// One of several classes.
    Classification,
    /// Several labels, each of which a sample has or has not.
    MultiLabel,
    /// Numbers.
    Regression,
    /// Numbers that follow a sequence in time.
    Forecast,
    /// The next token of a text.
    LanguageModel,
}

choices! {
    TaskKind:
    Classification = "classification",
    MultiLabel = "multi-label",
    Regression = "regression",
    Forecast = "forecast",
    LanguageModel = "language-model",
}

impl TaskKind {
    /// The name in job files.
    pub fn name(self) -> &'static str {
        word(self)
    }

    /// Whether it predicts values: numbers, or several labels of 0 or 1.
    pub fn predicts_values(self) -> bool {
        matches!(self, TaskKind::MultiLabel | TaskKind::Regression | TaskKind::Forecast)
    }

    /// The metrics that fit, the default first.
    pub fn metrics(self) -> &'static [Metric] {
        match self {
            TaskKind::Classification => &[Metric::Accuracy, Metric::Top5, Metric::MacroF1],
            TaskKind::MultiLabel => &[Metric::MacroF1, Metric::Accuracy],
            TaskKind::Regression | TaskKind::Forecast => &[Metric::Rmse, Metric::Mae, Metric::R2],
            TaskKind::LanguageModel => &[Metric::Perplexity],
        }
    }
}

/// The weights of classes in the training loss.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// N / (K n) for a class with n of the N training samples of K classes.
    Balanced,
    /// These, one per class.
    Given(Vec<f32>),
}

const BALANCED: &str = "balanced";

impl Serialize for ClassWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ClassWeights::Balanced => serializer.serialize_str(BALANCED),
            ClassWeights::Given(weights) => weights.serialize(serializer),
        }
    }
}

impl FromValue for ClassWeights {
    fn from_value(value: &Value) -> Result<Self, String> {
        if value.as_str() == Some(BALANCED) {
            return Ok(ClassWeights::Balanced);
        }
        let weights = Vec::<f32>::from_value(value).ok().filter(|weights| !weights.is_empty());
        let fit = weights.filter(|weights| {
            weights.iter().all(|&weight| weight >= 0.0) && weights.iter().any(|&weight| weight > 0.0)
        });
        fit.map(ClassWeights::Given).ok_or_else(|| {
            format!("\"{BALANCED}\", or one number per class, at least 0 and not all of them 0")
        })
    }

    fn type_name() -> String {
        format!("`\"{BALANCED}\"`, or numbers of at least 0")
    }

    fn schema() -> Json {
        json!({ "anyOf": [
            { "const": BALANCED },
            { "type": "array", "minItems": 1, "items": { "type": "number", "minimum": 0 } },
        ] })
    }
}
