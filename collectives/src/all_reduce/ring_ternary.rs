//! A ring of all ranks, node after node, of integer sums that widen as they collect ranks.
//!
//! A sum over `k` ranks travels at [`width`](crate::planes::width)`(k)` planes. This is the two-level all-reduce in
//! which every rank is a group of its own: nothing to scatter or share, one ring.

use super::groups::Groups;
use super::work::Work;
use super::{Plan, two_level};
use crate::topology::Topology;
use crate::{Result, Transport};

/// See [`Algorithm::sum`](super::Algorithm::sum).
pub(super) fn sum(
    transport: &mut dyn Transport,
    plan: Plan,
    ternary: &[u64],
    sums: &mut [u64],
) -> Result<()> {
    two_level::sum(transport, Groups::Ranks(plan.topology), plan, ternary, sums)
}

/// See [`Algorithm::work`](super::Algorithm::work).
pub(super) fn work(plan: Plan, rank: usize) -> Work {
    two_level::work(Groups::Ranks(plan.topology), plan, rank)
}

/// See [`Algorithm::steps`](super::Algorithm::steps): 2 (P - 1).
pub(super) fn steps(topology: &Topology) -> usize {
    two_level::steps(Groups::Ranks(topology))
}

/// See [`Algorithm::far_steps`](super::Algorithm::far_steps): the chain goes nearly twice round the ring, which leaves
/// each node once.
pub(super) fn far_steps(topology: &Topology) -> usize {
    steps(topology).min(2 * topology.nodes())
}
