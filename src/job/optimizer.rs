//! `[optimizer]`: how an averaged gradient becomes a step.

use serde::Serialize;

use super::kinds::Kinds;
use super::read::Section;
use super::value::Rule;

/// The section `[optimizer]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Optimizer {
    /// The update rule and its constants.
    #[serde(flatten)]
    pub kind: OptimizerKind,
    /// The learning rate that the schedule starts from, above 0.
    pub learning_rate: f64,
    /// The factor of the decay of weights, which is applied after the exchange; at least 0.
    pub weight_decay: f64,
    /// The layers whose weights decay; `None`: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_layers: Option<Vec<String>>,
    /// The norm that all averaged gradients together are scaled down to where they exceed it; `None`: no clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

/// The update rules.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// The momentum, in [0, 1); 0: none, and nothing is kept.
        momentum: f64,
    },
    /// Stochastic gradient descent with Nesterov's momentum.
    Nesterov {
        /// The momentum, in (0, 1).
        momentum: f64,
    },
    /// Adam, or AdamW.
    Adam {
        /// How much of the mean of gradients stays a step, in [0, 1).
        beta1: f64,
        /// How much of the mean of their squares stays a step, in [0, 1).
        beta2: f64,
        /// Added to the root of that mean, above 0.
        epsilon: f64,
        /// Whether decay shrinks the weights by itself (AdamW) instead of being a part of the gradient.
        decoupled_decay: bool,
    },
    /// Layer-wise adaptive rate scaling.
    Lars {
        /// The momentum, in [0, 1).
        momentum: f64,
        /// The factor of the ratio of norms, above 0.
        trust: f64,
    },
}

/// The name of an update rule, which decides what other keys it has.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Name {
    Sgd,
    Nesterov,
    Adam,
    Lars,
}

pub(super) const KINDS: Kinds<Name> = Kinds {
    names: &[("sgd", Name::Sgd), ("nesterov", Name::Nesterov), ("adam", Name::Adam), ("lars", Name::Lars)],
    owners: &[
        ("momentum", &[Name::Sgd, Name::Nesterov, Name::Lars]),
        ("beta1", &[Name::Adam]),
        ("beta2", &[Name::Adam]),
        ("epsilon", &[Name::Adam]),
        ("decoupled_decay", &[Name::Adam]),
        ("trust", &[Name::Lars]),
    ],
};

impl Optimizer {
    pub(super) fn read(section: &mut Section) -> Self {
        let name = KINDS.read(section, Name::Sgd);
        let kind =
            name.map_or(OptimizerKind::Sgd { momentum: 0.9 }, |name| OptimizerKind::read(name, section));
        let decay = if name == Some(Name::Adam) { 0.0 } else { 0.0005 };
        Optimizer {
            kind,
            learning_rate: section.required("learning_rate", &Rule::POSITIVE),
            weight_decay: section.or("weight_decay", decay, &Rule::NOT_NEGATIVE),
            decay_layers: section.optional("decay_layers", &Rule::ANY),
            clip_norm: section.optional("clip_norm", &Rule::POSITIVE),
        }
    }
}

impl OptimizerKind {
    fn read(name: Name, section: &mut Section) -> Self {
        let fraction = Rule::new("at least 0 and below 1", |part| (0.0..1.0).contains(part));
        let some = Rule::new("above 0 and below 1", |&part| part > 0.0 && part < 1.0);
        match name {
            Name::Sgd => OptimizerKind::Sgd { momentum: section.or("momentum", 0.9, &fraction) },
            Name::Nesterov => OptimizerKind::Nesterov { momentum: section.or("momentum", 0.9, &some) },
            Name::Adam => OptimizerKind::Adam {
                beta1: section.or("beta1", 0.9, &fraction),
                beta2: section.or("beta2", 0.999, &fraction),
                epsilon: section.or("epsilon", 1e-8, &Rule::POSITIVE),
                decoupled_decay: section.or("decoupled_decay", false, &Rule::ANY),
            },
            Name::Lars => OptimizerKind::Lars {
                momentum: section.or("momentum", 0.9, &fraction),
                trust: section.or("trust", 0.001, &Rule::POSITIVE),
            },
        }
    }
}
