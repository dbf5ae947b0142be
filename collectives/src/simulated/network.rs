//! The links that a virtual clock charges for.

/// The links of one kind, and the cost of a message for its two ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire {
    /// Seconds from leaving one rank to reaching the other, without the time of the bytes.
    pub latency: f64,
    /// Seconds per byte, on the way out of a node and on the way into one.
    pub byte: f64,
    /// Seconds of a rank's own time per message that it sends or takes.
    pub message: f64,
}

/// The links between all ranks: a switch that lets every node send and receive at its own rate, whatever the others do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// Between ranks of one node: never shared.
    pub intra_node: Wire,
    /// Between nodes: each node has one link, which its ranks share.
    pub inter_node: Wire,
    /// Seconds per word of a sum to add.
    pub add: f64,
}
