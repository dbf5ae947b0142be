//! The report of a late rank.

use std::fmt;

use super::super::Act;

/// A long wait, and the rank that causes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Late {
    /// The rank that waits and reports this.
    pub rank: usize,
    /// The rank that it waits for, which may itself be waiting.
    pub peer: usize,
    /// The action that this rank must perform.
    pub act: Act,
    /// The context of the awaited message, from [`Transport::set_context`](crate::Transport::set_context).
    pub context: String,
    /// The rank at the end of the chain of waits, which does not wait. `None` if ranks wait for each other in
    /// a circle.
    pub late: Option<usize>,
    /// The host of that rank; empty if there is none.
    pub host: String,
    /// How long the wait has lasted.
    pub seconds: f64,
    /// The length of a wait after which it is an error.
    pub deadline_seconds: f64,
    /// Whether no lower rank is known to have waited at least half as long. A program that prints one warning for all ranks
    /// prints it on this one.
    pub is_lowest: bool,
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Late { rank, peer, act, context, host, seconds, deadline_seconds, .. } = self;
        match self.late {
            Some(late) if late == *peer => write!(
                f,
                "rank {late} on {host} is late: rank {rank} has waited {seconds:.1} s for it to {act}"
            )?,
            Some(late) => write!(
                f,
                "rank {late} on {host} is late: rank {rank} has waited {seconds:.1} s for rank {peer} to {act}, \
                 which waits for rank {late} in turn"
            )?,
            None => write!(
                f,
                "ranks wait for each other in a circle: rank {rank} has waited {seconds:.1} s for rank {peer} to {act}"
            )?,
        }
        if !context.is_empty() {
            write!(f, " ({context})")?;
        }
        write!(f, "; a wait of {deadline_seconds} s ends the job")
    }
}
