//! What a virtual clock counts.

/// The links of one kind, and what a message costs its ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire {
    /// Seconds from leaving a rank to coming to another, bytes not counted.
    pub latency: f64,
    /// Seconds for each byte, on the way out of a node and on the way into one.
    pub byte: f64,
    /// Seconds of a rank's own time for each message it sends and each it takes.
    pub message: f64,
}

/// The links between all ranks: a switch that lets every node send and receive at its own rate, whatever others do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// Between ranks of one node: never shared.
    pub intra_node: Wire,
    /// Between nodes: each node has one link, which its ranks share.
    pub inter_node: Wire,
    /// Seconds to add a word of a sum.
    pub add: f64,
}
