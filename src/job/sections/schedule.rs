//! `[schedule]`: how the learning rate changes from step to step.

mod keys;
mod scaling;

pub use scaling::{Scaling, ScalingKind};

use serde::Serialize;

use super::train::Train;
use crate::syntax::SectionReader;
use keys::{
    CONSTANT_EPOCHS, EVERY, GAMMA, INV_GAMMA, INV_POWER, KIND, MILESTONES, Name, PATIENCE, PLATEAU_GAMMA,
    POWER, WARMUP, WARMUP_FROM,
};

pub(crate) use keys::SECTION;

/// The section `[schedule]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Schedule {
    /// The curve.
    #[serde(flatten)]
    pub kind: ScheduleKind,
    /// The number of steps at the start in which the rate rises linearly to the curve; 0: none.
    pub warmup: u64,
    /// The factor of the rate in the first of those steps, in [0, 1].
    pub warmup_from: f64,
    /// How `learning_rate` follows the batch; `None`: it does not.
    #[serde(flatten)]
    pub scaling: Option<Scaling>,
}

/// The curves: the learning rate of step `t` (from 0), in epoch `e` (from 0), of a run of `T` steps that starts at `lr`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ScheduleKind {
    /// `lr`.
    Fixed,
    /// `lr * gamma^floor(t / every)`.
    Step {
        /// The factor.
        gamma: f64,
        /// Steps from one factor to the next.
        every: u64,
    },
    /// `lr * gamma^m`, where `m` milestones are at most `t`.
    Multistep {
        /// The factor.
        gamma: f64,
        /// The steps, ascending, at which the rate is multiplied by `gamma` once more.
        milestones: Vec<u64>,
    },
    /// `lr * (1 - t / T)^power`: zero at the end.
    Polynomial {
        /// The exponent.
        power: f64,
    },
    /// `lr * (1 + gamma * t)^-power`.
    Inv {
        /// The factor of the step.
        gamma: f64,
        /// The exponent.
        power: f64,
    },
    /// `lr * (1 + cos(pi t / T)) / 2`: zero at the end.
    Cosine,
    /// `lr` for `constant_epochs` epochs, then `gamma` times the rate of the epoch before: `lr * gamma^max(0,
    /// e + 1 - constant)`.
    Exponential {
        /// The factor.
        gamma: f64,
        /// The number of epochs at the start that stay at `lr`.
        constant_epochs: u64,
    },
    /// `lr * gamma^k`, where `k` counts the times that more than `patience` evaluations in a row did not lower the loss.
    Plateau {
        /// The factor.
        gamma: f64,
        /// The number of evaluations without improvement that do not cut the rate.
        patience: u64,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            kind: ScheduleKind::Fixed,
            warmup: WARMUP.default.0(),
            warmup_from: WARMUP_FROM.default.0(),
            scaling: None,
        }
    }
}

impl Schedule {
    /// Reads the section of a job or of a stage; `train` defines its length and its evaluations.
    pub(crate) fn read(section: &mut SectionReader, train: &Train) -> Self {
        let name = section.kind(&KIND);
        if name == Some(Name::Plateau) && train.has_length() && train.eval_every == Some(0) {
            section.refuse(
                KIND.name,
                "schedule.kind = \"plateau\" cuts the rate when evaluations stop improving, but with \
                 train.eval_every = 0 there is no evaluation before the end: leave train.eval_every out, or \
                 set it to the steps between evaluations",
            );
        }
        Schedule {
            kind: name.map_or(ScheduleKind::Fixed, |name| ScheduleKind::read(name, section)),
            warmup: section.read(&WARMUP),
            warmup_from: section.read(&WARMUP_FROM),
            scaling: Scaling::read(section),
        }
    }
}

impl ScheduleKind {
    fn read(name: Name, section: &mut SectionReader) -> Self {
        match name {
            Name::Fixed => ScheduleKind::Fixed,
            Name::Step => ScheduleKind::Step { gamma: section.read(&GAMMA), every: section.read(&EVERY) },
            Name::Multistep => {
                ScheduleKind::Multistep { gamma: section.read(&GAMMA), milestones: section.read(&MILESTONES) }
            }
            Name::Polynomial => ScheduleKind::Polynomial { power: section.read(&POWER) },
            Name::Inv => {
                ScheduleKind::Inv { gamma: section.read(&INV_GAMMA), power: section.read(&INV_POWER) }
            }
            Name::Cosine => ScheduleKind::Cosine,
            Name::Exponential => ScheduleKind::Exponential {
                gamma: section.read(&GAMMA),
                constant_epochs: section.read(&CONSTANT_EPOCHS),
            },
            Name::Plateau => ScheduleKind::Plateau {
                gamma: section.read(&PLATEAU_GAMMA),
                patience: section.read(&PATIENCE),
            },
        }
    }
}
