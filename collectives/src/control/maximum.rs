//! The maximum over all ranks, in one call or overlapped with other messages.

use std::time::Instant;

use super::distances;
use crate::transport::meter::Traffic;
use crate::transport::{Act, Lane, Length, Wait, packed};
use crate::{Result, Transport};

/// A maximum in progress (dissemination). It advances only when it is called, so that a rank can do other
/// work in between.
///
/// Unless P is a power of two, some values have reached a rank twice after the last round. This does not
/// change a maximum.
#[derive(Clone, Copy, Debug)]
pub struct Maximum {
    lane: Lane,
    /// The distance of the peers of this round: 1, 2, 4, ...; the maximum is complete when it reaches P.
    distance: usize,
    /// The time at which the message of this round was sent, if it was sent.
    sent: Option<Instant>,
}

impl Maximum {
    /// A maximum in `lane`. All ranks must start their maxima in a lane in the same order, each after the one
    /// before is complete.
    pub fn new(lane: Lane) -> Self {
        Maximum { lane, distance: 1, sent: None }
    }

    /// Advances as far as possible without waiting. Returns true when each of `values`, which must be the
    /// same slice at each call, is the maximum over all ranks. The last messages may then still be in
    /// transit: see [`Transport::pending`].
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
            for (value, other) in values.iter_mut().zip(bytemuck::cast_slice(&received)) {
                *value = (*value).max(*other);
            }
            transport.recycle(received);
            self.distance *= 2;
            self.sent = None;
        }
        Ok(true)
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
/// Those of [`Maximum::progress`], [`Transport::pause`] and [`Transport::flush`].
pub fn max(transport: &mut dyn Transport, values: &mut [u32]) -> Result<()> {
    let mut maximum = Maximum::new(Lane::Bulk);
    while !maximum.progress(transport, values)? {
        transport.pause(&maximum.wait(transport, values.len()))?;
    }
    transport.flush()
}

/// The exact traffic of [`max`] of `values` values on each rank.
pub fn max_traffic(values: usize, world: usize) -> Traffic {
    let words = values.div_ceil(2);
    distances(world).map(|_| Traffic::sent(words) + Traffic::received(words)).sum()
}
