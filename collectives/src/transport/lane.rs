//! Independent streams of messages.

/// A stream of messages between two ranks. Order is kept within a lane; messages of different lanes may overtake each
/// other. Over MPI each lane is a tag.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Lane {
    /// Payloads, and every message of an algorithm that needs no other lane.
    Bulk,
    /// Messages that may overtake payloads in transit, such as the scales of the next bucket.
    Ahead,
    /// Notes between ranks outside all algorithms. Nobody has to read them, and no meter counts them.
    Notes,
}

impl Lane {
    /// All lanes, in the order of their numbers.
    pub(super) const ALL: [Lane; 3] = [Lane::Bulk, Lane::Ahead, Lane::Notes];
}
