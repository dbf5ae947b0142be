//! The predicted messages and additions of one rank in an all-reduce.

use crate::transport::meter::Traffic;

/// A message that a rank sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The receiving rank.
    pub to: usize,
    /// Its length.
    pub words: usize,
}

/// The messages and additions of one rank in an all-reduce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The messages it sends, in order.
    pub sends: Vec<Message>,
    /// Words of all sums that the rank writes. A word is 64 elements of a plane, or 2 of float32.
    pub added_words: u64,
}

impl Work {
    pub(super) fn send(&mut self, to: usize, words: usize) {
        self.sends.push(Message { to, words });
    }

    pub(super) fn add(&mut self, words: usize) {
        self.added_words += words as u64;
    }
}

/// The traffic of `rank` if the work of each rank is `work(rank)`.
pub(super) fn traffic(world: usize, rank: usize, work: impl Fn(usize) -> Work) -> Traffic {
    let from = |peer: usize| {
        work(peer).sends.into_iter().map(move |message| {
            let sent = if peer == rank { Traffic::sent(message.words) } else { Traffic::default() };
            let received =
                if message.to == rank { Traffic::received(message.words) } else { Traffic::default() };
            sent + received
        })
    };
    (0..world).flat_map(from).sum()
}
