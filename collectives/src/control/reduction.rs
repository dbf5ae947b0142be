//! Reductions of a few words over all ranks, by maximum and by bitwise or, in one call or overlapped with other messages.

use std::time::Instant;

use super::distances;
use crate::transport::meter::Traffic;
use crate::transport::{Act, Lane, Length, Wait, packed};
use crate::{Result, Transport};

use super::sparse::Sparse;

/// A reduction in progress (dissemination). The first words are reduced by maximum and the others by bitwise or, in
/// the same messages. It advances only when it is called, so that a rank can do other work in between.
///
/// Unless P is a power of two, some values have reached a rank twice after the last round. This changes neither a
/// maximum nor an or; a sum would need another pattern of messages.
#[derive(Clone, Copy, Debug)]
pub struct Reduction {
    lane: Lane,
    /// Number of words that are reduced by maximum.
    maxima: usize,
    /// Those of them that are mostly zero.
    sparse: Sparse,
    /// The distance of the peers of this round: 1, 2, 4, ...; the reduction is complete when it reaches P.
    distance: usize,
    /// The time at which the message of this round was sent, if it was sent.
    sent: Option<Instant>,
}

impl Reduction {
    /// A reduction in `lane` of words of which the first `maxima` are reduced by maximum, and those after them by
    /// bitwise or. All ranks must start their reductions in a lane in the same order, each after the one before is
    /// complete.
    pub fn new(lane: Lane, maxima: usize) -> Self {
        Reduction { lane, maxima, sparse: Sparse::NONE, distance: 1, sent: None }
    }

    /// The same, if the `count` words from `start` on, all of them maxima, are mostly zero: of these, messages carry a
    /// bitmap and the words that are not zero. All ranks must give the same words.
    #[must_use]
    pub fn with_sparse(self, start: usize, count: usize) -> Self {
        Reduction { sparse: Sparse { start, count }, ..self }
    }

    /// Advances as far as possible without waiting. Returns true when `values`, which must be the same slice at each
    /// call, are reduced over all ranks. The last messages may then still be in transit: see
    /// [`Transport::pending`].
    ///
    /// # Errors
    /// Those of [`Transport::send_on`] and [`Transport::poll`]; [`Error::Invalid`](crate::Error::Invalid) if the bitmap of
    /// a message does not fit the message.
    pub fn progress(&mut self, transport: &mut dyn Transport, values: &mut [u32]) -> Result<bool> {
        let (rank, world) = (transport.rank(), transport.world());
        let length = self.length(values.len());
        while self.distance < world {
            if self.sent.is_none() {
                let message = match self.sparse.count {
                    0 => packed(transport, values),
                    _ => self.sparse.packed(transport, values),
                };
                transport.send_on(self.lane, (rank + self.distance) % world, message)?;
                self.sent = Some(Instant::now());
            }
            let Some(received) = transport.poll(self.lane, self.peer(transport), length)? else {
                return Ok(false);
            };
            match self.sparse.count {
                0 => self.combine(values, bytemuck::cast_slice(&received)),
                _ => self.sparse.combine(rank, values, self.maxima, bytemuck::cast_slice(&received))?,
            }
            transport.recycle(received);
            self.distance *= 2;
            self.sent = None;
        }
        Ok(true)
    }

    /// Combines `values` with those of another rank; `others` may have a word of padding.
    fn combine(&self, values: &mut [u32], others: &[u32]) {
        let maxima = self.maxima.min(values.len());
        let (largest, bits) = values.split_at_mut(maxima);
        let (other_largest, other_bits) = others.split_at(maxima);
        to_maxima(largest, other_largest);
        bits.iter_mut().zip(other_bits).for_each(|(value, other)| *value |= other);
    }

    /// The wait for the message of this round, with `values` values, for [`Transport::pause`].
    pub fn wait(&self, transport: &dyn Transport, values: usize) -> Wait {
        let act = Act::Send(self.lane, self.length(values));
        Wait { peer: self.peer(transport), act, since: self.sent.unwrap_or_else(Instant::now), naps: false }
    }

    /// Waits until `values` are reduced over all ranks.
    ///
    /// # Errors
    /// Those of [`Reduction::progress`], [`Transport::pause`] and [`Transport::flush`].
    pub fn complete(mut self, transport: &mut dyn Transport, values: &mut [u32]) -> Result<()> {
        while !self.progress(transport, values)? {
            transport.pause(&self.wait(transport, values.len()))?;
        }
        transport.flush()
    }

    /// The length of a message of `values` values.
    fn length(&self, values: usize) -> Length {
        match self.sparse.count {
            0 => Length::Exactly(values.div_ceil(2)),
            _ => Length::AtMost(self.sparse.most_words(values)),
        }
    }

    /// The rank whose message completes this round.
    fn peer(&self, transport: &dyn Transport) -> usize {
        let (rank, world) = (transport.rank(), transport.world());
        (rank + world - self.distance % world) % world
    }
}

/// Replaces each of `values` by the larger one of it and its counterpart.
pub(super) fn to_maxima(values: &mut [u32], others: &[u32]) {
    values.iter_mut().zip(others).for_each(|(value, other)| *value = (*value).max(*other));
}

/// Replaces each of `values` with its maximum over all ranks. This also works for the bits of non-negative
/// floats, which have the same order as the floats.
///
/// # Errors
/// Those of [`max_or`].
pub fn max(transport: &mut dyn Transport, values: &mut [u32]) -> Result<()> {
    max_or(transport, values.len(), values)
}

/// Replaces each of the first `maxima` of `values` with its maximum over all ranks, and each of the others with the
/// bitwise or over all ranks.
///
/// # Errors
/// Those of [`Reduction::complete`].
pub fn max_or(transport: &mut dyn Transport, maxima: usize, values: &mut [u32]) -> Result<()> {
    Reduction::new(Lane::Bulk, maxima).complete(transport, values)
}

/// The exact traffic of [`max`] or [`max_or`] of `values` values on each rank.
pub fn max_traffic(values: usize, world: usize) -> Traffic {
    let words = values.div_ceil(2);
    distances(world).map(|_| Traffic::sent(words) + Traffic::received(words)).sum()
}

/// The most traffic of a [`Reduction`] of `values` values on each rank, of which `sparse` are [mostly
/// zero](Reduction::with_sparse).
pub fn sparse_max_traffic(values: usize, sparse: usize, world: usize) -> Traffic {
    let words = Sparse { start: 0, count: sparse }.most_words(values);
    distances(world).map(|_| Traffic::sent(words) + Traffic::received(words)).sum()
}
