//! `[optimizer]`: how an averaged gradient becomes a step.

use serde::Serialize;
use toml::Value;

use super::read::Section;
use super::value::{FromValue, Rule, choose};

/// The section `[optimizer]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Optimizer {
    /// The update rule.
    pub kind: OptimizerKind,
    /// The learning rate that the schedule starts from, above 0.
    pub learning_rate: f64,
    /// The momentum, in [0, 1).
    pub momentum: f64,
    /// The factor of the L2 gradient, which is added after the exchange; at least 0.
    pub weight_decay: f64,
}

/// The update rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    #[default]
    Sgd,
}

impl FromValue for OptimizerKind {
    fn from_value(value: &Value) -> Result<Self, String> {
        choose(value, &[("sgd", Self::Sgd)])
    }
}

impl Optimizer {
    pub(super) fn read(section: &mut Section) -> Self {
        let momentum = Rule::new("at least 0 and below 1", |momentum| (0.0..1.0).contains(momentum));
        Optimizer {
            kind: section.or("kind", OptimizerKind::default(), &Rule::ANY),
            learning_rate: section.required("learning_rate", &Rule::POSITIVE),
            momentum: section.or("momentum", 0.9, &momentum),
            weight_decay: section.or("weight_decay", 0.0005, &Rule::NOT_NEGATIVE),
        }
    }
}
