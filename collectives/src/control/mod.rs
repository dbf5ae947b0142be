//! Control messages: collectives for a few words, whose time is that of the longest chain of messages.
//!
//! All of them take `ceil(log2 P)` rounds for any P. In round `k`, a rank exchanges with the ranks at
//! distance `2^k`, so its information covers twice as many ranks after each round.

mod reduction;
mod sparse;

pub use reduction::{Reduction, max, max_or, max_traffic, sparse_max_traffic};

use crate::transport::meter::Traffic;
use crate::{Error, Result, Transport};

/// The distances of the rounds: 1, 2, 4, ... below `world`.
pub(crate) fn distances(world: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS).map(|round| 1 << round).take_while(move |distance| *distance < world)
}

/// Returns when every rank has called it.
///
/// # Errors
/// Those of [`max`].
pub fn barrier(transport: &mut dyn Transport) -> Result<()> {
    max(transport, &mut [])
}

/// The records of all ranks, in rank order (Bruck's algorithm). All records must have the same length.
///
/// # Errors
/// Those of [`Transport::send_on`], [`Transport::recv_on`] and [`Transport::flush`]; [`Error::LengthMismatch`] on some rank
/// if lengths differ.
pub fn all_gather(transport: &mut dyn Transport, record: &[u64]) -> Result<Vec<u64>> {
    let (rank, world, length) = (transport.rank(), transport.world(), record.len());
    // Records in ring order, starting with this rank's own. The records that a peer needs are always at the
    // front.
    let mut records = Vec::with_capacity(world * length);
    records.extend_from_slice(record);
    for distance in distances(world) {
        let words = distance.min(world - distance) * length;
        let mut message = transport.buffer(words);
        message.copy_from_slice(&records[..words]);
        transport.send((rank + world - distance) % world, message)?;
        let received = transport.recv((rank + distance) % world, words)?;
        records.extend_from_slice(&received);
        transport.recycle(received);
    }
    records.rotate_right(rank * length);
    transport.flush()?;
    Ok(records)
}

/// The exact traffic of [`all_gather`] of records of `length` words on each rank.
pub fn all_gather_traffic(length: usize, world: usize) -> Traffic {
    let words = |distance: usize| distance.min(world - distance) * length;
    distances(world).map(|d| Traffic::sent(words(d)) + Traffic::received(words(d))).sum()
}

/// Copies the `words` of rank 0 to all ranks (binomial tree). The words of the other ranks are replaced and
/// may have any length.
///
/// # Errors
/// Those of [`Transport::send_on`], [`Transport::recv_on`] and [`Transport::flush`].
pub fn broadcast(transport: &mut dyn Transport, words: &mut Vec<u64>) -> Result<()> {
    let (rank, world) = (transport.rank(), transport.world());
    for distance in distances(world) {
        if rank < distance && rank + distance < world {
            // The length is sent first, because the receiver does not know it.
            for content in [&[words.len() as u64], words.as_slice()] {
                let mut message = transport.buffer(content.len());
                message.copy_from_slice(content);
                transport.send(rank + distance, message)?;
            }
        } else if (distance..2 * distance).contains(&rank) {
            let length = transport.recv(rank - distance, 1)?;
            let message = transport.recv(rank - distance, length[0] as usize)?;
            words.clear();
            words.extend_from_slice(&message);
            transport.recycle(length);
            transport.recycle(message);
        }
    }
    transport.flush()
}

/// Checks that `value` is the same on all ranks. `what` names it in the error.
///
/// # Errors
/// [`Error::Disagree`], the same on every rank; those of [`all_gather`].
pub fn agree(transport: &mut dyn Transport, what: &str, value: u64) -> Result<()> {
    let values = all_gather(transport, &[value])?;
    match values.iter().position(|other| *other != values[0]) {
        None => Ok(()),
        Some(peer) => Err(Error::Disagree {
            what: what.to_owned(),
            rank: 0,
            value: values[0],
            peer,
            peer_value: values[peer],
        }),
    }
}
