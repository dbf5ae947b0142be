//! The links of a virtual clock.

/// The costs of one kind of links, and of a message for its two ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire {
    /// Seconds from one rank to the other, without the time of the bytes.
    pub latency: f64,
    /// Seconds per byte, both on the way out of a node and on the way into one.
    pub byte: f64,
    /// Seconds of a rank's own time per message that it sends or receives.
    pub message: f64,
}

/// The links between all ranks: a switch on which every node sends and receives at its own rate,
/// independently of the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// Between ranks of one node: never shared.
    pub intra_node: Wire,
    /// Between nodes: each node has one link, which its ranks share.
    pub inter_node: Wire,
    /// Seconds per word of a sum, for its addition.
    pub add: f64,
}
