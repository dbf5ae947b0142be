//! `[smoothout]`: noise on the weights that gradients are taken at.

mod choices;
mod keys;

pub use choices::{Adapt, Distribution, Noise, NoiseSchedule};

use serde::Serialize;

use crate::syntax::{SectionReader, read_empty};
use keys::{A, ADAPT, BATCH_NORM, DISTRIBUTION, LAYERS, NOISE, SCHEDULE};

pub(crate) use keys::SECTION;

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

impl Default for SmoothOut {
    fn default() -> Self {
        read_empty(&SECTION, SmoothOut::read)
    }
}

impl SmoothOut {
    pub(crate) fn read(section: &mut SectionReader) -> Self {
        // Problems are reported in this order where they share a line.
        let (distribution, adapt) = (section.read(&DISTRIBUTION), section.read(&ADAPT));
        let (schedule, noise) = (section.read(&SCHEDULE), section.read(&NOISE));
        SmoothOut {
            a: section.read(&A),
            distribution,
            adapt,
            schedule,
            noise,
            batch_norm: section.read(&BATCH_NORM),
            layers: section.read(&LAYERS),
        }
    }
}
