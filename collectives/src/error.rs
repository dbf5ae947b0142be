//! The errors between ranks. Every message names the ranks that it concerns.

use crate::coding::Damage;
use crate::transport::Length;
use crate::transport::watch::Late;

/// The result of all fallible functions of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed exchange. After [`Error::Timeout`] and [`Error::Late`] nothing is lost, and after
/// [`Error::Disagree`] and [`Error::NonFinite`] all ranks know of the failure. After any other error, the
/// ranks are no longer synchronised, and a job under MPI can only end through `transport::mpi::abort`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A peer did not do its part before the deadline.
    #[error("rank {rank} waited {seconds:.2} s for rank {peer} to {what}: that rank is late, stuck or dead")]
    Timeout {
        /// The rank that waited.
        rank: usize,
        /// The rank it waited for.
        peer: usize,
        /// What the peer should have done, as in "send 12 words".
        what: String,
        /// How long the rank waited.
        seconds: f64,
    },

    /// A timeout, from a transport that knows which rank all others wait for.
    #[error("{0}")]
    Late(Box<Late>),

    /// A peer has ended and will never answer.
    #[error("rank {peer} has ended while rank {rank} still needed it")]
    PeerGone {
        /// The rank that needed the peer.
        rank: usize,
        /// The rank that has ended.
        peer: usize,
    },

    /// A message had another length than its receiver expected.
    #[error(
        "rank {rank} expected {expected} from rank {peer} and got {got_words}: \
         these ranks do not exchange the same tensors in the same order"
    )]
    LengthMismatch {
        /// The receiver.
        rank: usize,
        /// The sender.
        peer: usize,
        /// Length the receiver expected.
        expected: Length,
        /// Length of the message.
        got_words: usize,
    },

    /// A message held something that its sender cannot have meant.
    #[error(
        "rank {rank} received {what}: a message was damaged in transit, or the ranks run different programs"
    )]
    Invalid {
        /// The receiver.
        rank: usize,
        /// What it received, and for which tensor.
        what: String,
    },

    /// A peer sent a coded segment that cannot be decoded.
    #[error("rank {rank} cannot decode what rank {peer} sent{}: {damage}", in_brackets(context))]
    Undecodable {
        /// The receiver.
        rank: usize,
        /// The sender.
        peer: usize,
        /// What is wrong with the segment.
        damage: Damage,
        /// The context of the message, from [`Transport::set_context`](crate::Transport::set_context).
        context: String,
    },

    /// Ranks hold different values of something that must be equal everywhere.
    #[error("{what} is {} on rank {peer} and {} on rank {rank}", shown(*peer_value), shown(*value))]
    Disagree {
        /// What should be equal.
        what: String,
        /// The lowest rank, always 0.
        rank: usize,
        /// Its value.
        value: u64,
        /// The first rank that holds another.
        peer: usize,
        /// The other value.
        peer_value: u64,
    },

    /// A gradient is NaN or infinite, so there is no mean. All ranks return this error and stay synchronised.
    #[error("a gradient of rank {rank} is NaN or infinite")]
    NonFinite {
        /// The lowest rank with such a gradient.
        rank: usize,
    },

    /// MPI could not be started in this process.
    #[error("MPI could not be started: {0}")]
    Init(String),

    /// A transport cannot use a communicator that a program already has.
    #[error("the ranks of the communicator cannot be joined: {0}")]
    Join(String),

    /// A call into the MPI library failed.
    #[error("rank {rank}: {call} failed: {text}")]
    Mpi {
        /// The rank that called.
        rank: usize,
        /// The function of the MPI standard.
        call: &'static str,
        /// The error text of the library, or why the call was not made.
        text: String,
    },
}

/// The text in brackets after a space, if there is any.
fn in_brackets(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

/// Formats a count as a decimal number and a hash in hexadecimal.
fn shown(value: u64) -> String {
    if value >> 48 == 0 { value.to_string() } else { format!("{value:#018x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_hashes_are_shown_as_such() {
        let disagree = |value, peer_value| {
            Error::Disagree { what: "the size".into(), rank: 0, value, peer: 2, peer_value }.to_string()
        };
        assert_eq!(disagree(1000, 0), "the size is 0 on rank 2 and 1000 on rank 0");
        let hashes = disagree(0xab << 56, 1 << 60);
        assert_eq!(hashes, "the size is 0x1000000000000000 on rank 2 and 0xab00000000000000 on rank 0");
    }
}
