//! The order in which a ring all-reduce moves its chunks.
//!
//! The member at place `p` of a ring of G sends only to place `p + 1` and receives only from `p - 1` (mod G).
//! The payload is cut into G chunks. After a reduce-scatter of G - 1 hops, place `p` has the complete sum of
//! chunk `p`. An all-gather of G - 1 hops then brings every chunk to every member. In both, a member sends in
//! each hop the chunk that it received in the hop before, so buffers are forwarded without copies.

/// The place of one member in a ring.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// The place, `0..size`.
    pub place: usize,
    /// Number of members.
    pub size: usize,
}

impl Ring {
    /// The place to which this member sends all messages.
    pub fn next(self) -> usize {
        self.back(self.size - 1)
    }

    /// The place from which this member receives all messages.
    pub fn previous(self) -> usize {
        self.back(1)
    }

    /// The place `distance` before this one; at most the size of the ring.
    pub fn back(self, distance: usize) -> usize {
        (self.place + self.size - distance) % self.size
    }

    /// The chunks to which this member adds its values, in order: the one that it starts, then the one that
    /// it receives in each hop of the reduce-scatter. The last one is its own, and is finished; the others
    /// are forwarded to the next member.
    pub fn reduce_scatter(self) -> impl Iterator<Item = usize> {
        (1..=self.size).map(move |hop| self.back(hop))
    }

    /// The finished chunks that this member receives in the hops of the all-gather, in order. The last one
    /// has then reached all members; the others are forwarded to the next member.
    pub fn all_gather(self) -> impl Iterator<Item = usize> {
        (1..self.size).map(move |hop| self.back(hop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_sends_what_the_next_expects() {
        for size in 1..10 {
            for place in 0..size {
                let here = Ring { place, size };
                let next = Ring { place: here.next(), size };
                assert_eq!(next.previous(), place);
                let added: Vec<_> = here.reduce_scatter().collect();
                assert_eq!((added.len(), added[size - 1]), (size, place));
                assert!(added[..size - 1].iter().copied().eq(next.reduce_scatter().skip(1)));
                let sent: Vec<_> = [place].into_iter().chain(here.all_gather()).collect();
                assert_eq!(sent[size - 1], here.next());
                assert!(sent[..size - 1].iter().copied().eq(next.all_gather()));
            }
        }
    }
}
