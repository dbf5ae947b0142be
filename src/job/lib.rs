//! Job files: what to train, on what, and how. `docs/job-file.md` describes every key.
//!
//! `syntax` reads TOML key by key, independent of the keys. `sections` defines them, one file per section: a
//! struct, the definitions of its keys, and a `read`. Each definition feeds the reader, the error messages,
//! `docs/job-file.md` and [`schema`]. Reading collects all problems of a job before it refuses it. Each
//! problem names the line, or the `--set`, with the wrong value.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod canonical;
mod job;
mod load;
mod reference;
mod schema;
mod sections;
mod syntax;

#[cfg(test)]
mod tests;

pub use canonical::Difference;
pub use job::{Check, Job, keys};
pub use load::{Loaded, MOST_BYTES, load, load_after, load_checked, name_in, parse, parse_table};
pub use schema::schema;
pub use sections::{
    Adapt, Algorithm, ArrayFiles, Arrays, Augment, AutoAmong, Axes, Checkpoint, ClassWeights, ClipSigmaOver,
    Coding, Colour, Columns, Csv, DATASETS, Data, Distribution, Draw, Exchange, Folder, Force, ForceKind,
    Gradients, Idx, Level, LossKind, LowRank, LowRankMethod, Metric, Missing, Model, Noise, NoiseSchedule,
    Normalisation, OnError, OneOrMore, Optimizer, OptimizerKind, Overlap, Precision, Punctuation, Resize,
    SampleSettings, Scaling, ScalingKind, Schedule, ScheduleKind, Shrink, SmoothOut, Sparsity,
    SparsityMethod, Split, Stage, Strengths, Synthetic, SyntheticText, Task, TaskKind, TestFiles, Text,
    Train, Unseen, Validation, ValidationFiles, Windows, find_preset, is_registered, presets,
    register_dataset_name, register_loss_name,
};
pub use syntax::Source;
