//! `[exchange]`: how the ranks average their gradients.

use serde::Serialize;
use toml::Value;

use super::read::Section;
use super::value::{FromValue, Rule, choose};

/// The section `[exchange]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exchange {
    /// What travels.
    pub gradients: Gradients,
    /// How ternary gradients are summed.
    pub algorithm: Algorithm,
    /// Gradients are clipped at this many standard deviations of their tensor; 0: not at all.
    pub clip_sigma: f64,
    /// Tensors of fewer elements travel as float32.
    pub min_elements: usize,
    /// Layers whose tensors travel as float32: names of layers, or "logits" for the network's output layer.
    pub keep_float: Vec<String>,
    /// Whether gradients are averaged while the step still computes others.
    pub overlap: Overlap,
    /// Gradients travel together until they are so many elements.
    pub bucket_elements: usize,
    /// Whether what rounding leaves of a gradient is added to the next step's.
    pub error_feedback: bool,
    /// Steps between comparisons of all ranks' parameters; 0: never.
    pub verify_every: u64,
    /// Seconds to wait for another rank before the one that is late is named, above 0.
    pub warn_after: f64,
    /// Seconds to wait for another rank before the job is ended, above 0.
    pub timeout: f64,
}

/// The forms a gradient travels in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gradients {
    /// TernGrad: -1, 0 or 1 times one scale a tensor, in 2 bits.
    #[default]
    Ternary,
    /// As they are, in 32 bits.
    Float32,
}

impl Gradients {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ternary, Self::Float32];

    /// The name in job files and checkpoints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ternary => "ternary",
            Self::Float32 => "float32",
        }
    }
}

impl FromValue for Gradients {
    fn from_value(value: &Value) -> Result<Self, String> {
        choose(value, &Self::ALL.map(|gradients| (gradients.name(), gradients)))
    }
}

/// When gradients are averaged while the backward pass still computes others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// Where ranks are on several nodes: within one there is next to nothing to hide, and looking for messages costs the
    /// backward pass more.
    #[default]
    Auto,
    /// With more than one rank.
    Always,
    /// Never.
    Never,
}

impl FromValue for Overlap {
    fn from_value(value: &Value) -> Result<Self, String> {
        choose(value, &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)])
    }
}

/// The all-reduces of ternaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// A ring of all ranks.
    #[default]
    RingTernary,
    /// Everything to everyone.
    GatherTernary,
    /// Each rank adds a part of all others' and gives the sums to all.
    DirectTernary,
    /// Pairs of ranks, halving and doubling.
    HalvingTernary,
    /// Within each node first, then between the nodes.
    HierarchicalTernary,
    /// The fastest by the cost model, or none where float32 is faster.
    Auto,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RingTernary,
        Self::GatherTernary,
        Self::DirectTernary,
        Self::HalvingTernary,
        Self::HierarchicalTernary,
        Self::Auto,
    ];

    /// The name in job files, which is that of the collectives but for "auto".
    pub fn name(self) -> &'static str {
        match self {
            Self::RingTernary => "ring_ternary",
            Self::GatherTernary => "gather_ternary",
            Self::DirectTernary => "direct_ternary",
            Self::HalvingTernary => "halving_ternary",
            Self::HierarchicalTernary => "hierarchical_ternary",
            Self::Auto => "auto",
        }
    }
}

impl FromValue for Algorithm {
    fn from_value(value: &Value) -> Result<Self, String> {
        choose(value, &Self::ALL.map(|algorithm| (algorithm.name(), algorithm)))
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange {
            gradients: Gradients::default(),
            algorithm: Algorithm::default(),
            clip_sigma: 2.5,
            min_elements: 512,
            keep_float: vec!["logits".to_owned()],
            overlap: Overlap::default(),
            bucket_elements: 1 << 18,
            error_feedback: false,
            verify_every: 100,
            warn_after: 30.0,
            timeout: 300.0,
        }
    }
}

impl Exchange {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Exchange::default();
        let clip = Rule::new("0 or at least 0.001", |&clip| clip == 0.0 || clip >= 0.001);
        let bucket = Rule::new("at least 1", |&elements| elements > 0);
        let seconds = Rule::new("above 0 and at most 1000000", |&seconds| seconds > 0.0 && seconds <= 1e6);
        Exchange {
            gradients: section.or("gradients", default.gradients, &Rule::ANY),
            algorithm: section.or("algorithm", default.algorithm, &Rule::ANY),
            clip_sigma: section.or("clip_sigma", default.clip_sigma, &clip),
            min_elements: section.or("min_elements", default.min_elements, &Rule::ANY),
            keep_float: section.or("keep_float", default.keep_float, &Rule::ANY),
            overlap: section.or("overlap", default.overlap, &Rule::ANY),
            bucket_elements: section.or("bucket_elements", default.bucket_elements, &bucket),
            error_feedback: section.or("error_feedback", default.error_feedback, &Rule::ANY),
            verify_every: section.or("verify_every", default.verify_every, &Rule::ANY),
            warn_after: section.or("warn_after", default.warn_after, &seconds),
            timeout: section.or("timeout", default.timeout, &seconds),
        }
    }
}
