//! `[smoothout]`: noise on the weights at which gradients are computed.

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
    /// The amplitude: the bound of the uniform distribution, or the standard deviation of the normal one; 0:
    /// no noise. With `adapt` it is relative to the weight, or to the norm of the filter.
    pub a: f64,
    /// The distribution.
    pub distribution: Distribution,
    /// What the noise is proportional to.
    pub adapt: Adapt,
    /// How `a` changes from step to step.
    pub schedule: NoiseSchedule,
    /// Whether ranks and micro-batches share their noise.
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
        // Problems on the same line are reported in this order.
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
