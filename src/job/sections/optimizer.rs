//! `[optimizer]`: how an averaged gradient becomes a step.

mod keys;

use serde::Serialize;

use crate::syntax::SectionReader;
use keys::{
    ADAM_WEIGHT_DECAY, BETA1, BETA2, CLIP_NORM, DECAY_LAYERS, DECOUPLED_DECAY, EPSILON, KIND, LEARNING_RATE,
    MOMENTUM, NESTEROV_MOMENTUM, Name, TRUST, WEIGHT_DECAY,
};

pub(crate) use keys::SECTION;

/// The section `[optimizer]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Optimizer {
    /// The update rule and its constants.
    #[serde(flatten)]
    pub kind: OptimizerKind,
    /// The learning rate that the schedule starts from, above 0.
    pub learning_rate: f64,
    /// The factor of the weight decay, which is applied after the exchange; at least 0.
    pub weight_decay: f64,
    /// The layers whose weights decay; `None`: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_layers: Option<Vec<String>>,
    /// The maximum norm of all averaged gradients together, which are scaled down to it; `None`: no clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
}

/// The update rules.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// The momentum, in [0, 1); 0: none, and the optimizer has no state.
        momentum: f64,
    },
    /// Stochastic gradient descent with Nesterov's momentum.
    Nesterov {
        /// The momentum, in (0, 1).
        momentum: f64,
    },
    /// Adam, or AdamW.
    Adam {
        /// The decay per step of the running mean of gradients, in [0, 1).
        beta1: f64,
        /// The decay per step of the running mean of their squares, in [0, 1).
        beta2: f64,
        /// Added to the root of that mean, above 0.
        epsilon: f64,
        /// Whether weight decay shrinks the weights directly (AdamW) instead of being added to the gradient.
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

impl Optimizer {
    pub(crate) fn read(section: &mut SectionReader) -> Self {
        let name = section.kind(&KIND);
        let kind = name.map_or(OptimizerKind::Sgd { momentum: MOMENTUM.default.0() }, |name| {
            OptimizerKind::read(name, section)
        });
        Optimizer {
            kind,
            learning_rate: section.read(&LEARNING_RATE),
            weight_decay: section.read(match name {
                Some(Name::Adam) => &ADAM_WEIGHT_DECAY,
                _ => &WEIGHT_DECAY,
            }),
            decay_layers: section.read(&DECAY_LAYERS),
            clip_norm: section.read(&CLIP_NORM),
        }
    }
}

impl OptimizerKind {
    fn read(name: Name, section: &mut SectionReader) -> Self {
        match name {
            Name::Sgd => OptimizerKind::Sgd { momentum: section.read(&MOMENTUM) },
            Name::Nesterov => OptimizerKind::Nesterov { momentum: section.read(&NESTEROV_MOMENTUM) },
            Name::Adam => OptimizerKind::Adam {
                beta1: section.read(&BETA1),
                beta2: section.read(&BETA2),
                epsilon: section.read(&EPSILON),
                decoupled_decay: section.read(&DECOUPLED_DECAY),
            },
            Name::Lars => {
                OptimizerKind::Lars { momentum: section.read(&MOMENTUM), trust: section.read(&TRUST) }
            }
        }
    }
}
