//! Chunks, and the order in which a ring all-reduce moves them.
//!
//! Rank `r` only ever sends to `r + 1` and receives from `r - 1` (mod P). A reduce-scatter of P - 1 hops leaves rank
//! `r` with the whole sum of chunk `r`; an all-gather of P - 1 hops then takes every chunk to every rank. In both, the
//! chunk that a rank receives in one hop is the one it sends in the next, so buffers pass through without copies.

use std::ops::Range;

use crate::transport::meter::Traffic;
use crate::{Result, Transport};

/// The items of chunk `index` when `total` of them are split over `parts`: nearly equal, the longer chunks first, some
/// of them empty if `total < parts`.
pub fn chunk(total: usize, parts: usize, index: usize) -> Range<usize> {
    let (length, longer) = (total / parts, total % parts);
    let start = |index: usize| index * length + index.min(longer);
    start(index)..start(index + 1)
}

/// The chunks of one hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The chunk sent to the next rank.
    pub sent: usize,
    /// The chunk received from the previous rank.
    pub received: usize,
}

/// One rank's place in the ring of all ranks.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// This rank.
    pub rank: usize,
    /// Number of ranks.
    pub world: usize,
}

impl Ring {
    /// The place of `transport`'s rank.
    pub fn of(transport: &dyn Transport) -> Self {
        Ring { rank: transport.rank(), world: transport.world() }
    }

    /// The rank that every message of this rank goes to.
    pub fn next(self) -> usize {
        (self.rank + 1) % self.world
    }

    /// The rank that every message to this rank comes from, and the index of the chunk this rank sends first.
    pub fn previous(self) -> usize {
        (self.rank + self.world - 1) % self.world
    }

    /// The hops after which this rank holds the sum of chunk `rank`. Hop `h` carries sums over `h + 1` ranks.
    pub fn reduce_scatter(self) -> impl Iterator<Item = Hop> {
        self.hops(self.world - 1)
    }

    /// The hops that take the chunk of each rank to all others.
    pub fn all_gather(self) -> impl Iterator<Item = Hop> {
        self.hops(self.world)
    }

    /// P - 1 hops, the first of which sends chunk `rank + ahead`; each next chunk is the one before it.
    fn hops(self, ahead: usize) -> impl Iterator<Item = Hop> {
        let Ring { rank, world } = self;
        let chunk = move |hop: usize| (rank + ahead + world - hop) % world;
        (0..world - 1).map(move |hop| Hop { sent: chunk(hop), received: chunk(hop + 1) })
    }

    /// One hop: sends `message` to the next rank and returns the `words` words that the previous one sends. Nothing
    /// travels for an empty chunk.
    pub fn shift(self, transport: &mut dyn Transport, message: Vec<u64>, words: usize) -> Result<Vec<u64>> {
        if !message.is_empty() {
            transport.send(self.next(), message)?;
        }
        if words == 0 {
            return Ok(Vec::new());
        }
        transport.recv(self.previous(), words)
    }
}

/// The traffic of one [`Ring::shift`].
pub fn shift_traffic(sent_words: usize, received_words: usize) -> Traffic {
    let sent = if sent_words == 0 { Traffic::default() } else { Traffic::sent(sent_words) };
    let received = if received_words == 0 { Traffic::default() } else { Traffic::received(received_words) };
    sent + received
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_everything_once_and_evenly() {
        for total in 0..40 {
            for parts in 1..12 {
                let chunks: Vec<_> = (0..parts).map(|index| chunk(total, parts, index)).collect();
                assert_eq!(chunks[0].start, 0);
                assert_eq!(chunks[parts - 1].end, total);
                assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start));
                assert!(chunks.iter().all(|c| c.len() == total / parts || c.len() == total.div_ceil(parts)));
            }
        }
    }

    #[test]
    fn each_hop_sends_what_the_next_rank_expects_and_what_came_in_the_hop_before() {
        for world in 1..10 {
            for rank in 0..world {
                let (here, next) = (Ring { rank, world }, Ring { rank: (rank + 1) % world, world });
                let hops: Vec<_> = here.reduce_scatter().chain(here.all_gather()).collect();
                let theirs: Vec<_> = next.reduce_scatter().chain(next.all_gather()).collect();
                assert_eq!(hops.len(), 2 * (world - 1));
                assert!(hops.iter().zip(&theirs).all(|(here, next)| here.sent == next.received));
                assert!(hops.windows(2).all(|pair| pair[0].received == pair[1].sent));
                assert!(here.reduce_scatter().last().is_none_or(|hop| hop.received == rank));
            }
        }
    }
}
