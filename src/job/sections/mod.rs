//! The sections of a job file, one file each: a struct, the definitions of its keys, and how it is read.

pub(crate) mod checkpoint;
pub(crate) mod data;
pub(crate) mod exchange;
pub(crate) mod force;
mod low_rank;
pub(crate) mod model;
pub(crate) mod optimizer;
mod presets;
pub(crate) mod schedule;
mod shrink;
pub(crate) mod smoothout;
pub(crate) mod sparsity;
mod stage;
pub(crate) mod task;
mod top;
pub(crate) mod train;

pub use checkpoint::Checkpoint;
pub use data::{
    ArrayFiles, Arrays, Augment, Axes, Colour, Columns, Csv, DATASETS, Data, Draw, Folder, Idx, Level,
    Missing, Normalisation, OnError, OneOrMore, Punctuation, Resize, SampleSettings, Split, Synthetic,
    SyntheticText, TestFiles, Text, Unseen, Validation, ValidationFiles, Windows, is_registered,
    register_dataset_name,
};
pub use exchange::{Algorithm, AutoAmong, ClipSigmaOver, Coding, Exchange, Gradients, Overlap};
pub use force::{Force, ForceKind};
pub use low_rank::{LowRank, LowRankMethod};
pub use model::Model;
pub use optimizer::{Optimizer, OptimizerKind};
pub use presets::{find_preset, presets};
pub use schedule::{Scaling, ScalingKind, Schedule, ScheduleKind};
pub use shrink::Shrink;
pub use smoothout::{Adapt, Distribution, Noise, NoiseSchedule, SmoothOut};
pub use sparsity::{Sparsity, SparsityMethod, Strengths};
pub use stage::Stage;
pub use task::{ClassWeights, LossKind, Metric, Task, TaskKind, register_loss_name};
pub use train::{Precision, Train};

pub(crate) use stage::{IN_STAGE, INHERITED, STAGE, read as read_stages};
pub(crate) use top::{TOP, read_name};
pub(crate) use train::Length;

use super::syntax::Section;

/// The sections of a job, without its top and its stages, in the order in which error messages list them.
pub(crate) const SECTIONS: [&Section; 11] = [
    &data::SECTION,
    &task::SECTION,
    &model::SECTION,
    &train::SECTION,
    &optimizer::SECTION,
    &schedule::SECTION,
    &sparsity::SECTION,
    &force::SECTION,
    &smoothout::SECTION,
    &exchange::SECTION,
    &checkpoint::SECTION,
];
