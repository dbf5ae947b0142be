//! `[schedule]`: how the learning rate changes from step to step.

use serde::Serialize;

use super::kinds::Kinds;
use super::read::Section;
use super::train::Train;
use super::value::{Rule, choose};

/// The section `[schedule]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Schedule {
    /// The curve.
    #[serde(flatten)]
    pub kind: ScheduleKind,
    /// The steps of the beginning in which the rate rises, on a straight line, to what the curve says; 0: none.
    pub warmup: u64,
    /// The part of it that the first of those steps has, in [0, 1].
    pub warmup_from: f64,
    /// How `learning_rate` follows the batch; `None`: it does not.
    #[serde(flatten)]
    pub scaling: Option<Scaling>,
}

/// The batch that a learning rate was found for, and what another one makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scaling {
    /// That batch, in samples.
    pub base_batch: usize,
    /// What the ratio of the batches does.
    #[serde(rename = "scaling")]
    pub kind: ScalingKind,
}

/// What the ratio r of the global batch to the base batch makes of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalingKind {
    /// r times: a step of a large batch goes as far as r steps of the base batch.
    Linear,
    /// sqrt(r) times: a step's variance is that of the base batch.
    Sqrt,
}

impl Scaling {
    /// The factor of the learning rate for batches of `global_batch`.
    pub fn factor(&self, global_batch: usize) -> f64 {
        let ratio = global_batch as f64 / self.base_batch as f64;
        match self.kind {
            ScalingKind::Linear => ratio,
            ScalingKind::Sqrt => ratio.sqrt(),
        }
    }

    fn read(section: &mut Section) -> Option<Self> {
        let kinds = [("linear", ScalingKind::Linear), ("sqrt", ScalingKind::Sqrt)];
        let kind = section.take_as("scaling", &Rule::ANY, |value| choose(value, &kinds));
        let kind = kind.ok().flatten().unwrap_or(ScalingKind::Linear);
        let base_batch = section.optional("base_batch", &Rule::<usize>::SOME);
        if section.has("scaling") && !section.has("base_batch") {
            section.refuse(
                "scaling",
                "schedule.scaling needs `base_batch`, the batch that learning_rate was found for",
            );
        }
        base_batch.map(|base_batch| Scaling { base_batch, kind })
    }
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
        /// The steps, ascending, from which on one more factor holds.
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
    /// `lr` for so many epochs, then `gamma` times the rate of the epoch before: `lr * gamma^max(0, e + 1 - constant)`.
    Exponential {
        /// The factor.
        gamma: f64,
        /// The epochs of the beginning that stay at `lr`.
        constant_epochs: u64,
    },
    /// `lr * gamma^k`, where `k` counts the times that more than `patience` evaluations in a row did not lower the loss.
    Plateau {
        /// The factor.
        gamma: f64,
        /// Evaluations without improvement that are borne.
        patience: u64,
    },
}

/// The name of a curve, which decides what other keys it has.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Name {
    Fixed,
    Step,
    Multistep,
    Polynomial,
    Inv,
    Cosine,
    Exponential,
    Plateau,
}

pub(super) const KINDS: Kinds<Name> = Kinds {
    names: &[
        ("fixed", Name::Fixed),
        ("step", Name::Step),
        ("multistep", Name::Multistep),
        ("polynomial", Name::Polynomial),
        ("inv", Name::Inv),
        ("cosine", Name::Cosine),
        ("exponential", Name::Exponential),
        ("plateau", Name::Plateau),
    ],
    owners: &[
        ("gamma", &[Name::Step, Name::Multistep, Name::Inv, Name::Exponential, Name::Plateau]),
        ("every", &[Name::Step]),
        ("milestones", &[Name::Multistep]),
        ("power", &[Name::Polynomial, Name::Inv]),
        ("constant_epochs", &[Name::Exponential]),
        ("patience", &[Name::Plateau]),
    ],
};

impl Default for Schedule {
    fn default() -> Self {
        Schedule { kind: ScheduleKind::Fixed, warmup: 0, warmup_from: 0.1, scaling: None }
    }
}

impl Schedule {
    /// Reads the section of a job or of a stage; `train` defines its length and its evaluations.
    pub(super) fn read(section: &mut Section, train: &Train) -> Self {
        let default = Schedule::default();
        let fraction = Rule::new("at least 0 and at most 1", |part| (0.0..=1.0).contains(part));
        let name = KINDS.read(section, Name::Fixed);
        if name == Some(Name::Plateau) && train.has_length() && train.eval_every == Some(0) {
            section.refuse(
                "kind",
                "schedule.kind = \"plateau\" cuts the rate when evaluations stop improving, and with train.eval_every = 0 there is \
                 none before the end: leave train.eval_every out, or give the steps between evaluations",
            );
        }
        Schedule {
            kind: name.map_or(default.kind, |name| ScheduleKind::read(name, section)),
            warmup: section.or("warmup", default.warmup, &Rule::ANY),
            warmup_from: section.or("warmup_from", default.warmup_from, &fraction),
            scaling: Scaling::read(section),
        }
    }
}

impl ScheduleKind {
    fn read(name: Name, section: &mut Section) -> Self {
        match name {
            Name::Fixed => ScheduleKind::Fixed,
            Name::Step => ScheduleKind::Step {
                gamma: section.or("gamma", 0.1, &Rule::POSITIVE),
                every: section.required("every", &Rule::<u64>::SOME),
            },
            Name::Multistep => ScheduleKind::Multistep {
                gamma: section.or("gamma", 0.1, &Rule::POSITIVE),
                milestones: section.required(
                    "milestones",
                    &Rule::new("one or more steps, ascending", |steps: &Vec<u64>| ascending(steps)),
                ),
            },
            Name::Polynomial => ScheduleKind::Polynomial { power: section.or("power", 1.0, &Rule::POSITIVE) },
            Name::Inv => ScheduleKind::Inv {
                gamma: section.or("gamma", 0.0001, &Rule::POSITIVE),
                power: section.or("power", 0.75, &Rule::POSITIVE),
            },
            Name::Cosine => ScheduleKind::Cosine,
            Name::Exponential => ScheduleKind::Exponential {
                gamma: section.or("gamma", 0.1, &Rule::POSITIVE),
                constant_epochs: section.or("constant_epochs", 1, &Rule::<u64>::SOME),
            },
            Name::Plateau => ScheduleKind::Plateau {
                gamma: section.or("gamma", 0.25, &Rule::POSITIVE),
                patience: section.or("patience", 0, &Rule::ANY),
            },
        }
    }
}

fn ascending(milestones: &[u64]) -> bool {
    milestones.first().is_some_and(|&first| first > 0)
        && milestones.is_sorted_by(|earlier, later| earlier < later)
}
