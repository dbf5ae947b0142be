//! Reductions of a few words over all ranks, by maximum and by bitwise or, in one call or overlapped with other messages.

use std::time::Instant;

use super::distances;
use crate::transport::meter::Traffic;
use crate::transport::{Act, Lane, Length, Wait, packed};
use crate::{Result, Transport};

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
        Reduction { lane, maxima, distance: 1, sent: None }
    }

    /// Advances as far as possible without waiting. Returns true when `values`, which must be the same slice at each
    /// call, are reduced over all ranks. The last messages may then still be in transit: see
    /// [`Transport::pending`].
    ///
    /// # Errors
    /// Those of [`Transport::send_on`] and [`Transport::poll`].
    pub fn progress(&mut self, transport: &mut dyn Transport, values: &mut [u32]) -> Result<bool> {
        let (rank, world) = (transport.rank(), transport.world());
        let length = Length::Exactly(values.len().div_ceil(2));
        while self.distance < world {
            if self.sent.is_none() {
                let message = packed(transport, values);
                transport.send_on(self.lane, (rank + self.distance) % world, message)?;
                self.sent = Some(Instant::now());
            }
            let Some(received) = transport.poll(self.lane, self.peer(transport), length)? else {
                return Ok(false);
            };
            self.combine(values, bytemuck::cast_slice(&received));
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
        largest.iter_mut().zip(other_largest).for_each(|(value, other)| *value = (*value).max(*other));
        bits.iter_mut().zip(other_bits).for_each(|(value, other)| *value |= other);
    }

    /// The wait for the message of this round, with `values` values, for [`Transport::pause`].
    pub fn wait(&self, transport: &dyn Transport, values: usize) -> Wait {
        let act = Act::Send(self.lane, Length::Exactly(values.div_ceil(2)));
        Wait { peer: self.peer(transport), act, since: self.sent.unwrap_or_else(Instant::now), naps: false }
    }

    /// The rank whose message completes this round.
    fn peer(&self, transport: &dyn Transport) -> usize {
        let (rank, world) = (transport.rank(), transport.world());
        (rank + world - self.distance % world) % world
    }
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
/// Those of [`Reduction::progress`], [`Transport::pause`] and [`Transport::flush`].
pub fn max_or(transport: &mut dyn Transport, maxima: usize, values: &mut [u32]) -> Result<()> {
    let mut reduction = Reduction::new(Lane::Bulk, maxima);
    while !reduction.progress(transport, values)? {
        transport.pause(&reduction.wait(transport, values.len()))?;
    }
    transport.flush()
}

/// The exact traffic of [`max`] or [`max_or`] of `values` values on each rank.
pub fn max_traffic(values: usize, world: usize) -> Traffic {
    let words = values.div_ceil(2);
    distances(world).map(|_| Traffic::sent(words) + Traffic::received(words)).sum()
}
