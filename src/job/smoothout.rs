//! `[smoothout]`: noise on the weights that gradients are taken at.

use serde::Serialize;

use super::read::Section;
use super::value::{Rule, choose};

/// The section `[smoothout]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SmoothOut {
    /// How far the noise moves a weight: the bound of the uniform distribution, the standard deviation of the normal one; 0:
    /// there is none. With `adapt` it is a share of the weight, or of the filter's length.
    pub a: f64,
    /// The distribution.
    pub distribution: Distribution,
    /// What the noise is in proportion to.
    pub adapt: Adapt,
    /// `a` from step to step.
    pub schedule: NoiseSchedule,
    /// Whose noise is the same.
    pub noise: Noise,
    /// Whether batch norm's weight and bias are perturbed too.
    pub batch_norm: bool,
    /// The layers that are perturbed; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<String>>,
}

/// The distribution of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// On (-a, a).
    Uniform,
    /// Of mean 0 and standard deviation a.
    Normal,
}

/// What noise is in proportion to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Adapt {
    /// Nothing: SmoothOut.
    None,
    /// The length of the filter: AdaSmoothOut.
    Filter,
    /// The weight.
    Weight,
}

/// How the noise changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseSchedule {
    /// Not at all.
    Constant,
    /// It falls with the step t: `a (1 + t)^-0.275`.
    Anneal,
    /// It rises from 0 to a, most of it in the middle: `a (tanh(10 (t / T - 1/2)) + 1) / 2`.
    Grow,
}

/// Whose noise is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Nobody's: each rank, and each of its micro-batches, has its own.
    PerRank,
    /// All ranks' and all micro-batches' of a step.
    Shared,
}

impl Default for SmoothOut {
    fn default() -> Self {
        SmoothOut {
            a: 0.0,
            distribution: Distribution::Uniform,
            adapt: Adapt::None,
            schedule: NoiseSchedule::Constant,
            noise: Noise::PerRank,
            batch_norm: false,
            layers: None,
        }
    }
}

impl SmoothOut {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = SmoothOut::default();
        let single = Rule::new("at least 0 and within single precision", |a: &f64| {
            *a >= 0.0 && (*a as f32).is_finite()
        });
        let distributions = [("uniform", Distribution::Uniform), ("normal", Distribution::Normal)];
        let distribution = section.take_as("distribution", &Rule::ANY, |value| choose(value, &distributions));
        let adapts = [("none", Adapt::None), ("filter", Adapt::Filter), ("weight", Adapt::Weight)];
        let adapt = section.take_as("adapt", &Rule::ANY, |value| choose(value, &adapts));
        let schedules = [
            ("constant", NoiseSchedule::Constant),
            ("anneal", NoiseSchedule::Anneal),
            ("grow", NoiseSchedule::Grow),
        ];
        let schedule = section.take_as("schedule", &Rule::ANY, |value| choose(value, &schedules));
        let noises = [("per_rank", Noise::PerRank), ("shared", Noise::Shared)];
        let noise = section.take_as("noise", &Rule::ANY, |value| choose(value, &noises));
        SmoothOut {
            a: section.or("a", default.a, &single),
            distribution: distribution.ok().flatten().unwrap_or(default.distribution),
            adapt: adapt.ok().flatten().unwrap_or(default.adapt),
            schedule: schedule.ok().flatten().unwrap_or(default.schedule),
            noise: noise.ok().flatten().unwrap_or(default.noise),
            batch_norm: section.or("batch_norm", default.batch_norm, &Rule::ANY),
            layers: section.optional("layers", &Rule::ANY),
        }
    }
}
