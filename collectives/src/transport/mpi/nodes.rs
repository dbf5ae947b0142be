//! Which ranks share memory.

use mpi::topology::{Communicator, Group, SimpleCommunicator};

use super::MpiTransport;
use crate::topology::Topology;
use crate::{Result, control};

/// The lowest rank that shares memory with this one. Collective: a [`Call::Split`](super::Call::Split).
pub(super) fn lowest_neighbour(communicator: &SimpleCommunicator) -> u64 {
    let rank = communicator.rank();
    let node = communicator.split_shared(rank);
    // The ranks of the node keep the order of their ranks in `communicator`.
    let lowest = node.group().translate_rank(0, &communicator.group());
    lowest.unwrap_or(rank) as u64
}

/// The node of each rank, numbered in the order of first appearance. This rank's node has the name `name`.
/// Collective.
pub(super) fn of(transport: &mut MpiTransport, name: u64) -> Result<Vec<usize>> {
    let names = control::all_gather(transport, &[name])?;
    let topology = Topology::new(names.into_iter().map(|name| name as usize).collect());
    Ok((0..topology.world()).map(|rank| topology.node_of(rank)).collect())
}
