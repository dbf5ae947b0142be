//! The enumerated values of `[smoothout]`.

use serde::Serialize;

use crate::syntax::choices;

/// The distribution of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// On (-a, a).
    Uniform,
    /// With mean 0 and standard deviation a.
    Normal,
}

/// What noise is proportional to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Adapt {
    /// Nothing: SmoothOut.
    None,
    /// The norm of the filter: AdaSmoothOut.
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

/// Whether ranks and micro-batches share their noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// No: each micro-batch of each rank has its own.
    PerRank,
    /// Yes: all ranks and micro-batches of a step have the same noise.
    Shared,
}

choices! { Distribution: Uniform = "uniform", Normal = "normal" }

choices! { Adapt: None = "none", Filter = "filter", Weight = "weight" }

choices! { NoiseSchedule: Constant = "constant", Anneal = "anneal", Grow = "grow" }

choices! { Noise: PerRank = "per_rank", Shared = "shared" }
