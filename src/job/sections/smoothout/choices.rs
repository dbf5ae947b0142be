//! The words that `[smoothout]` chooses from.

use serde::Serialize;

use crate::syntax::choices;

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

choices! { Distribution: Uniform = "uniform", Normal = "normal" }

choices! { Adapt: None = "none", Filter = "filter", Weight = "weight" }

choices! { NoiseSchedule: Constant = "constant", Anneal = "anneal", Grow = "grow" }

choices! { Noise: PerRank = "per_rank", Shared = "shared" }
