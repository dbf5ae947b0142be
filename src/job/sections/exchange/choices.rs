//! The words that `[exchange]` chooses from.

use serde::Serialize;

use crate::syntax::{Choice, choices, word};

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
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::CHOICES.iter().map(|&(_, gradients)| gradients)
    }

    /// The name in job files and checkpoints.
    pub fn name(self) -> &'static str {
        word(self)
    }
}

choices! { Gradients: Ternary = "ternary", Float32 = "float32" }

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

choices! { Overlap: Auto = "auto", Always = "always", Never = "never" }

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
        word(self)
    }
}

choices! { Algorithm: RingTernary = "ring_ternary", GatherTernary = "gather_ternary", DirectTernary = "direct_ternary", HalvingTernary = "halving_ternary", HierarchicalTernary = "hierarchical_ternary", Auto = "auto", }
