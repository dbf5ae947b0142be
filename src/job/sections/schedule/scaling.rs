//! How the learning rate scales with the batch size.

use serde::Serialize;

use crate::syntax::{Absent, Given, Key, SectionReader, at_least, choices};

/// The batch size that a learning rate was found for, and how the rate scales with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scaling {
    /// That batch size, in samples.
    pub base_batch: usize,
    /// How the rate depends on the ratio of the batch sizes.
    #[serde(rename = "scaling")]
    pub kind: ScalingKind,
}

/// How the learning rate depends on r, the ratio of the global batch to the base batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalingKind {
    /// Times r: a step of a large batch moves as far as r steps of the base batch.
    Linear,
    /// Times sqrt(r): a step has the variance that it has with the base batch.
    Sqrt,
}

choices! { ScalingKind: Linear = "linear", Sqrt = "sqrt" }

pub(super) const SCALING: Key<ScalingKind> = Key::new(
    "scaling",
    Given(|| ScalingKind::Linear),
    "With `base_batch`, the rate is multiplied by global_batch / base_batch (`\"linear\"`) or by its square \
     root (`\"sqrt\"`).",
)
.origin("Goyal et al. 2017 (linear); Hoffer et al. 2017 (root)");

pub(super) const BASE_BATCH: Key<usize, Absent> = Key::new(
    "base_batch",
    Absent("none"),
    "The batch size that `learning_rate` was found for. If `train.global_batch` differs, the rate is scaled.",
)
.within(at_least(1.0));

impl Scaling {
    /// The factor of the learning rate for batches of `global_batch`.
    pub fn factor(&self, global_batch: usize) -> f64 {
        let ratio = global_batch as f64 / self.base_batch as f64;
        match self.kind {
            ScalingKind::Linear => ratio,
            ScalingKind::Sqrt => ratio.sqrt(),
        }
    }

    pub(super) fn read(section: &mut SectionReader) -> Option<Self> {
        let kind = section.read(&SCALING);
        let base_batch = section.read(&BASE_BATCH);
        if section.has(SCALING.name) && !section.has(BASE_BATCH.name) {
            section.refuse(
                SCALING.name,
                "schedule.scaling needs `base_batch`, the batch size that learning_rate was found for",
            );
        }
        base_batch.map(|base_batch| Scaling { base_batch, kind })
    }
}
