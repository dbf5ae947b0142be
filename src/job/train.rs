//! `[train]`: how long, how many samples a step, and how often to look.

use serde::Serialize;

use super::read::Section;
use super::value::Rule;

/// The section `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Train {
    /// The length in passes over the training samples. One of `epochs` and `steps` is there, but in a job
    /// that has stages, whose lengths they are, and in a stage of no steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// The length in steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Samples a step, over all ranks together.
    pub global_batch: usize,
    /// Samples that a rank computes at a time, if its part of the batch is larger: the gradients of all of them are added up.
    /// `None`: all of its part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// The seed of every random number of the run, at most `i64::MAX` (TOML's largest integer).
    pub seed: u64,
    /// Steps between evaluations; 0: only at the end of the run, `None`: at the end of each epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_every: Option<u64>,
    /// Steps between lines of the log; 0: only where the run evaluates.
    pub log_every: u64,
}

/// Who says how long the training is.
#[derive(Clone, Copy)]
pub(super) enum Length {
    /// The job.
    Job,
    /// The stages of the job.
    Stages,
    /// This stage; with surgery it may have no step.
    Stage { surgery: bool },
}

impl Train {
    /// Whether it has steps; not at the top level of a job with stages, nor in a stage that only performs surgery.
    pub(super) fn has_length(&self) -> bool {
        self.epochs.is_some() || self.steps.is_some()
    }

    /// The two ways to say how long.
    pub(super) const LENGTH: [&str; 2] = ["epochs", "steps"];

    pub(super) fn read(section: &mut Section, length: Length) -> Self {
        match length {
            Length::Stages => {
                for key in Self::LENGTH {
                    if section.has(key) {
                        let message = format!("each [[stage]] has its own length: say `train.{key}` there");
                        section.refuse(key, message);
                    }
                }
            }
            Length::Stage { surgery: true } if !Self::LENGTH.iter().any(|key| section.has(key)) => {}
            Length::Job | Length::Stage { .. } => section.exactly_one(&Self::LENGTH),
        }
        let some = match length {
            Length::Stage { surgery: true } => Rule::ANY,
            _ => Rule::<u64>::SOME,
        };
        Train {
            epochs: section.optional("epochs", &some),
            steps: section.optional("steps", &some),
            global_batch: section.or("global_batch", 64, &Rule::<usize>::SOME),
            micro_batch: section.optional("micro_batch", &Rule::<usize>::SOME),
            seed: section.or("seed", 1, &Rule::ANY),
            eval_every: section.optional("eval_every", &Rule::ANY),
            log_every: section.or("log_every", 100, &Rule::ANY),
        }
    }
}
