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
mod top;
pub(crate) mod train;

pub use checkpoint::Checkpoint;
pub use data::{
    ArrayFiles, Arrays, Augment, Axes, Colour, DATASETS, Data, Draw, Folder, Idx, Level, Normalisation,
    OnError, Punctuation, Resize, SampleSettings, Split, Synthetic, SyntheticText, Text, Validation,
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
pub use train::{Precision, Train};

pub(crate) use stage::{IN_STAGE, INHERITED, STAGE, read as read_stages};
pub(crate) use top::{TOP, read_name};
pub(crate) use train::Length;

use super::syntax::Section;

/// The sections of a job, without its top and its stages, in the order in which error messages list them.
pub(crate) const SECTIONS: [&Section; 10] = [
    &data::SECTION,
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
