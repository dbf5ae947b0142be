//! Directly within each node, in rings between the nodes: one ring for each rank of the smallest node.
//!
//! This is the two-level all-reduce in which every node is a group. Only the rings leave the nodes, and a node sends
//! each element out about twice at the width of a sum, however many ranks it has.

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
    two_level::sum(transport, Groups::Nodes(plan.topology), plan, ternary, sums)
}

/// See [`Algorithm::work`](super::Algorithm::work).
pub(super) fn work(plan: Plan, rank: usize) -> Work {
    two_level::work(Groups::Nodes(plan.topology), plan, rank)
}

/// See [`Algorithm::steps`](super::Algorithm::steps): 2 more than a ring of the nodes.
pub(super) fn steps(topology: &Topology) -> usize {
    two_level::steps(Groups::Nodes(topology))
}

/// See [`Algorithm::far_steps`](super::Algorithm::far_steps): those of the rings.
pub(super) fn far_steps(topology: &Topology) -> usize {
    2 * (topology.nodes() - 1)
}
