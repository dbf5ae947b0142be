//! Every rank adds one chunk, whose ternaries it gets from all others, and gives the sums to all.
//!
//! This is the two-level all-reduce in which all ranks are one group: no ring.

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
    two_level::sum(transport, Groups::World(plan.topology), plan, ternary, sums)
}

/// See [`Algorithm::work`](super::Algorithm::work).
pub(super) fn work(plan: Plan, rank: usize) -> Work {
    two_level::work(Groups::World(plan.topology), plan, rank)
}

/// See [`Algorithm::steps`](super::Algorithm::steps): 2.
pub(super) fn steps(topology: &Topology) -> usize {
    two_level::steps(Groups::World(topology))
}
