//! `[exchange]`: how the ranks average their gradients.

mod choices;
mod keys;

pub use choices::{Algorithm, AutoAmong, ClipSigmaOver, Coding, Gradients, Overlap};

use serde::Serialize;

use crate::syntax::{SectionReader, read_empty};
use keys::{
    ALGORITHM, AUTO_AMONG, BUCKET_ELEMENTS, CLIP_SIGMA, CLIP_SIGMA_OVER, CODING, ERROR_FEEDBACK, EVERY,
    EVERY_START, GRADIENTS, KEEP_FLOAT, LOW_RANK, MIN_ELEMENTS, OVERLAP, POWERSGD_RANK, POWERSGD_START,
    ROW_SCALES, TIMEOUT, VERIFY_EVERY, WARN_AFTER,
};

pub(crate) use keys::SECTION;

/// The section `[exchange]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exchange {
    /// The form in which gradients travel.
    pub gradients: Gradients,
    /// The methods among which the ranks choose if the form is left to them.
    pub auto_among: AutoAmong,
    /// How ternary gradients are summed.
    pub algorithm: Algorithm,
    /// Which messages of ternaries and of their sums are entropy-coded.
    pub coding: Coding,
    /// Gradients are clipped at this many standard deviations of their tensor; 0: not at all.
    pub clip_sigma: f64,
    /// The elements whose standard deviation that is, for tensors of which a step reads only some rows.
    pub clip_sigma_over: ClipSigmaOver,
    /// Tensors of fewer elements travel as float32.
    pub min_elements: usize,
    /// Layers whose tensors travel as float32: names of layers, or "logits" for the network's output layer.
    pub keep_float: Vec<String>,
    /// Layers whose ternary tensors have scales of single rows: names of layers, "logits" for the network's output layer, or
    /// "embeddings" for the tables of all embeddings.
    pub row_scales: Vec<String>,
    /// Layers whose matrices travel as PowerSGD's factors: names of layers, or "logits" for the network's output layer.
    pub low_rank: Vec<String>,
    /// Whether gradients are averaged while the step still computes others.
    pub overlap: Overlap,
    /// Layers are exchanged together once their gradients have this many elements.
    pub bucket_elements: usize,
    /// Steps from one exchange to the next, at least 1; above 1: local steps.
    pub every: u64,
    /// The step of the run from which `every` applies; before it, the ranks exchange in each step.
    pub every_start: u64,
    /// Whether the rounding error of a gradient is added to the gradient of the next step.
    pub error_feedback: bool,
    /// The rank of PowerSGD's factors (their number of columns), 1 to 64.
    pub powersgd_rank: usize,
    /// The step at which PowerSGD begins.
    pub powersgd_start: u64,
    /// Steps between comparisons of all ranks' parameters; 0: never.
    pub verify_every: u64,
    /// Seconds to wait for another rank before a warning names the late rank, above 0.
    pub warn_after: f64,
    /// Seconds to wait for another rank before the job ends, above 0.
    pub timeout: f64,
}

impl Default for Exchange {
    fn default() -> Self {
        read_empty(&SECTION, Exchange::read)
    }
}

impl Exchange {
    pub(crate) fn read(section: &mut SectionReader) -> Self {
        let every = section.read(&EVERY);
        Exchange {
            gradients: section.read(&GRADIENTS),
            auto_among: section.read(&AUTO_AMONG),
            algorithm: section.read(&ALGORITHM),
            coding: section.read(&CODING),
            clip_sigma: section.read(&CLIP_SIGMA),
            clip_sigma_over: section.read(&CLIP_SIGMA_OVER),
            min_elements: section.read(&MIN_ELEMENTS),
            keep_float: section.read(&KEEP_FLOAT),
            row_scales: section.read(&ROW_SCALES),
            low_rank: section.read(&LOW_RANK),
            overlap: section.read(&OVERLAP),
            bucket_elements: section.read(&BUCKET_ELEMENTS),
            every,
            every_start: section.read(&EVERY_START),
            error_feedback: section.find(&ERROR_FEEDBACK).unwrap_or(every > 1),
            powersgd_rank: section.read(&POWERSGD_RANK),
            powersgd_start: section.read(&POWERSGD_START),
            verify_every: section.read(&VERIFY_EVERY),
            warn_after: section.read(&WARN_AFTER),
            timeout: section.read(&TIMEOUT),
        }
    }
}
