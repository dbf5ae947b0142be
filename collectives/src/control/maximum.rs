//! The maximum over all ranks, in one call or overlapped with other messages.

use std::time::Instant;

use super::distances;
use crate::transport::meter::Traffic;
use crate::transport::{Act, Lane, Wait, packed};
use crate::{Result, Transport};

/// A maximum on its way (dissemination): it moves when it is told to, so that a rank can do other things meanwhile.
///
/// After the last round some values have reached a rank twice unless P is a power of two, which a maximum does not mind.
#[derive(Clone, Copy, Debug)]
pub struct Maximum {
    lane: Lane,
    /// How far away the peers of this round are: 1, 2, 4, ...; from P on it is complete.
    distance: usize,
    /// When this round's message was sent, if it was.
    sent: Option<Instant>,
}

impl Maximum {
    /// A maximum in `lane`, in which the ranks must begin theirs in the same order, each after the one before is complete.
    pub fn new(lane: Lane) -> Self {
        Maximum { lane, distance: 1, sent: None }
    }

    /// Goes as far as it can without waiting. True when each of `values`, the same slice at each call, is the maximum
    /// over all ranks. The last messages may then still be on their way: see [`Transport::pending`].
    ///
    /// # Errors
    /// Those of [`Transport::send_on`] and [`Transport::poll`].
    pub fn progress(&mut self, transport: &mut dyn Transport, values: &mut [u32]) -> Result<bool> {
        let (rank, world) = (transport.rank(), transport.world());
        let words = values.len().div_ceil(2);
        while self.distance < world {
            if self.sent.is_none() {
                let message = packed(transport, values);
                transport.send_on(self.lane, (rank + self.distance) % world, message)?;
                self.sent = Some(Instant::now());
            }
            let Some(received) = transport.poll(self.lane, self.peer(transport), words)? else {
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

    /// The wait for this round's message of `values` values, to [`Transport::pause`] in.
    pub fn wait(&self, transport: &dyn Transport, values: usize) -> Wait {
        let act = Act::Send(self.lane, values.div_ceil(2));
        Wait { peer: self.peer(transport), act, since: self.sent.unwrap_or_else(Instant::now), naps: false }
    }

    /// The rank whose message ends this round.
    fn peer(&self, transport: &dyn Transport) -> usize {
        let (rank, world) = (transport.rank(), transport.world());
        (rank + world - self.distance % world) % world
    }
}

/// Replaces each of `values` by its maximum over all ranks. Works for non-negative floats as their bits, which are ordered
/// as the floats are.
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

/// Exactly what [`max`] of `values` values sends and receives on each rank.
pub fn max_traffic(values: usize, world: usize) -> Traffic {
    let words = values.div_ceil(2);
    distances(world).map(|_| Traffic::sent(words) + Traffic::received(words)).sum()
}
