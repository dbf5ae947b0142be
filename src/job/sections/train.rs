//! `[train]`: the length of the training, the batch size, and the intervals of evaluations and log lines.

use serde::Serialize;

use crate::syntax::{Absent, Given, Key, Rule, Section, SectionReader, at_least, choices, word};

/// The section `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Train {
    /// The length in passes over the training samples. Either `epochs` or `steps` is set, except in a job
    /// with stages, which have their own lengths, and in a stage without steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// The length in steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Samples per step, over all ranks together.
    pub global_batch: usize,
    /// Samples that a rank processes at a time if its share of the batch is larger; it adds up the gradients.
    /// `None`: its entire share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// The number format of the operands of matrix products and convolutions.
    pub precision: Precision,
    /// The seed of every random number of the run, at most `i64::MAX` (TOML's largest integer).
    pub seed: u64,
    /// Steps between evaluations; 0: only at the end of the run, `None`: at the end of each epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_every: Option<u64>,
    /// Steps between log lines; 0: only with evaluations.
    pub log_every: u64,
}

/// The number format of the operands of matrix products and convolutions. Everything else is float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE 754 binary32.
    #[default]
    Float32,
    /// bfloat16: the range of float32 with 8 significant bits.
    Bf16,
}

impl Precision {
    /// The name in job files.
    pub fn name(self) -> &'static str {
        word(self)
    }
}

choices! { Precision: Float32 = "float32", Bf16 = "bf16" }

/// Where the length of the training is given.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    /// The job.
    Job,
    /// The stages of the job.
    Stages,
    /// This stage. With surgery it may have no steps.
    Stage { surgery: bool },
}

const EPOCHS: Key<u64, Absent> =
    Key::new("epochs", Absent(""), "Passes over the training samples.").within(at_least(1.0));

const STEPS: Key<u64, Absent> = Key::new("steps", Absent(""), "Steps.").within(at_least(1.0));

const GLOBAL_BATCH: Key<usize> = Key::new(
    "global_batch",
    Given(|| 64),
    "Samples per step, over all ranks together. It does not grow with the number of ranks.",
)
.within(at_least(1.0))
.origin("TernGrad's LeNet script");

const MICRO_BATCH: Key<usize, Absent> = Key::new(
    "micro_batch",
    Absent("a rank's entire share"),
    "Samples that a rank processes at a time if its share of the batch is larger. The rank adds up the \
     gradients of its micro-batches and takes one step. A batch then needs only the memory of a micro-batch. \
     Batch norm computes its statistics per micro-batch. The value must divide each share that is larger.",
)
.within(at_least(1.0));

const PRECISION: Key<Precision> = Key::new(
    "precision",
    Given(|| Precision::Float32),
    "The number format of the operands of matrix products and convolutions, forward and backward. `\"bf16\"` \
     rounds them to bfloat16 and adds the products in float32, which is faster on processors with AMX or \
     AVX512_BF16 ([guide](how-to/bf16.md)). Weights, optimizer, statistics, loss and exchange are always float32.",
);

const SEED: Key<u64> = Key::new(
    "seed",
    Given(|| 1),
    "The seed of all random numbers of the run: initial weights, order of samples, augmentation, ternary \
     rounding, SmoothOut's noise. Only the validation split has its own seed, `data.validation_seed`.",
);

const EVAL_EVERY: Key<u64, Absent> = Key::new(
    "eval_every",
    Absent("at the end of each epoch"),
    "Steps between evaluations. 0: only at the end of the run. The end is always evaluated.",
);

const LOG_EVERY: Key<u64> =
    Key::new("log_every", Given(|| 100), "Steps between log lines. 0: only with evaluations.")
        .origin("Caffe's LeNet solver (`display`)");

/// The section and its keys.
pub(crate) const SECTION: Section = Section {
    exactly_one: &Train::LENGTH,
    ..Section::new(
        "train",
        "How long the training is, how many samples a step has, and how often the run evaluates.",
        &[&[&EPOCHS, &STEPS, &GLOBAL_BATCH, &MICRO_BATCH, &PRECISION, &SEED, &EVAL_EVERY, &LOG_EVERY]],
    )
};

impl Train {
    /// Whether it has a length. The top level of a job with stages has none, nor does a stage that only
    /// performs surgery.
    pub(super) fn has_length(&self) -> bool {
        self.epochs.is_some() || self.steps.is_some()
    }

    /// The two keys for the length.
    pub(crate) const LENGTH: [&str; 2] = ["epochs", "steps"];

    pub(crate) fn read(section: &mut SectionReader, length: Length) -> Self {
        match length {
            Length::Stages => {
                for key in Self::LENGTH {
                    if section.has(key) {
                        let message = format!("each [[stage]] has its own length: set `train.{key}` there");
                        section.refuse(key, message);
                    }
                }
            }
            Length::Stage { surgery: true } if !Self::LENGTH.iter().any(|key| section.has(key)) => {}
            Length::Job | Length::Stage { .. } => section.exactly_one(),
        }
        let fits = match length {
            Length::Stage { surgery: true } => Rule::Any,
            Length::Job | Length::Stages | Length::Stage { surgery: false } => EPOCHS.rule,
        };
        Train {
            epochs: section.read_as(&EPOCHS, &fits),
            steps: section.read_as(&STEPS, &fits),
            global_batch: section.read(&GLOBAL_BATCH),
            micro_batch: section.read(&MICRO_BATCH),
            precision: section.read(&PRECISION),
            seed: section.read(&SEED),
            eval_every: section.read(&EVAL_EVERY),
            log_every: section.read(&LOG_EVERY),
        }
    }
}
