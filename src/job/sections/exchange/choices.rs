//! The enumerated values of `[exchange]`.

use serde::Serialize;

use crate::syntax::{Choice, choices, word};

/// The form in which gradients travel between ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gradients {
    /// TernGrad: -1, 0 or 1 times one scale per tensor, at 2 bits per element.
    #[default]
    Ternary,
    /// Uncompressed, at 32 bits per element.
    Float32,
    /// PowerSGD: each matrix as the product of two factors of low rank, with error feedback.
    PowerSgd,
    /// The fastest of the formats above that [`AutoAmong`] allows, according to the cost model.
    Auto,
}

impl Gradients {
    /// All of them but [`Gradients::Auto`], which is not a format.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::CHOICES.iter().map(|&(_, gradients)| gradients).filter(|gradients| *gradients != Self::Auto)
    }

    /// The format in which gradients travel until one is chosen: this one, or float32 instead of [`Gradients::Auto`].
    pub fn until_chosen(self) -> Self {
        if self == Self::Auto { Self::Float32 } else { self }
    }

    /// The name in job files and checkpoints.
    pub fn name(self) -> &'static str {
        word(self)
    }
}

choices! { Gradients: Ternary = "ternary", Float32 = "float32", PowerSgd = "powersgd", Auto = "auto" }

/// The methods among which `gradients = "auto"` chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoAmong {
    /// Those whose result is the mean, up to the rounding of floating-point sums.
    #[default]
    Exact,
    /// All of them.
    All,
}

choices! { AutoAmong: Exact = "exact", All = "all" }

/// The elements that the standard deviation of a sparse gradient is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipSigmaOver {
    /// Those of the rows that a step has touched, for tensors of which it touches only some rows.
    #[default]
    TouchedRows,
    /// All of the tensor, as published.
    Elements,
}

choices! { ClipSigmaOver: TouchedRows = "touched_rows", Elements = "elements" }

/// When gradients are averaged while the backward pass still computes others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// If the ranks are on several nodes. Within one node there is almost no waiting time to hide, and
    /// polling for messages costs the backward pass more than that.
    #[default]
    Auto,
    /// Whenever there is more than one rank.
    Always,
    /// Never.
    Never,
}

choices! { Overlap: Auto = "auto", Always = "always", Never = "never" }

/// The messages of ternaries and of their sums that are entropy-coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// Those between nodes, if that is faster according to the cost model.
    #[default]
    Auto,
    /// All.
    Always,
    /// None.
    Never,
}

choices! { Coding: Auto = "auto", Always = "always", Never = "never" }

/// The all-reduces of ternaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// A ring of all ranks.
    #[default]
    RingTernary,
    /// Each rank sends its ternaries to all others.
    GatherTernary,
    /// Each rank sums one part of the vectors of all ranks and sends the sums to all.
    DirectTernary,
    /// Pairs of ranks, halving and doubling.
    HalvingTernary,
    /// Within each node first, then between the nodes.
    HierarchicalTernary,
    /// The fastest according to the cost model, or no compression if float32 is faster.
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

    /// The name in job files. Except for "auto", it is also the name in the crate of collectives.
    pub fn name(self) -> &'static str {
        word(self)
    }
}

choices! { Algorithm: RingTernary = "ring_ternary", GatherTernary = "gather_ternary", DirectTernary = "direct_ternary", HalvingTernary = "halving_ternary", HierarchicalTernary = "hierarchical_ternary", Auto = "auto", }
