//! `[train]`: how long, how many samples a step, and how often to look.

use serde::Serialize;

use super::read::Section;
use super::value::Rule;

/// The section `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Train {
    /// The length in passes over the training samples. Exactly one of `epochs` and `steps` is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// The length in steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Samples a step, over all ranks together.
    pub global_batch: usize,
    /// The seed of every random number of the run, at most `i64::MAX` (TOML's largest integer).
    pub seed: u64,
    /// Steps between evaluations; 0: only at the end of the run, `None`: at the end of each epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_every: Option<u64>,
    /// Steps between lines of the log; 0: only where the run evaluates.
    pub log_every: u64,
}

impl Train {
    /// The two ways to say how long.
    pub(super) const LENGTH: [&str; 2] = ["epochs", "steps"];

    pub(super) fn read(section: &mut Section) -> Self {
        section.exactly_one(Self::LENGTH);
        Train {
            epochs: section.optional("epochs", &Rule::<u64>::SOME),
            steps: section.optional("steps", &Rule::<u64>::SOME),
            global_batch: section.or("global_batch", 64, &Rule::<usize>::SOME),
            seed: section.or("seed", 1, &Rule::ANY),
            eval_every: section.optional("eval_every", &Rule::ANY),
            log_every: section.or("log_every", 100, &Rule::ANY),
        }
    }
}
