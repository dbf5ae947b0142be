//! Streams of messages side by side.

/// A stream of messages between two ranks. Order is kept within a lane; messages of different lanes may overtake each
/// other. Over MPI each lane is a tag.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Lane {
    /// Payloads, and every message of an algorithm that needs no other lane.
    Bulk,
    /// What goes ahead of payloads that are still on their way, as the scales of the next bucket do.
    Ahead,
    /// What ranks tell each other beside all algorithms. Nobody has to read it, and no meter counts it.
    Notes,
}

impl Lane {
    /// All lanes, in the order of their numbers.
    pub(super) const ALL: [Lane; 3] = [Lane::Bulk, Lane::Ahead, Lane::Notes];
}
