//! Ordered groups of ranks.

use crate::topology::Topology;

/// How the two-level all-reduce groups the ranks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Groups<'a> {
    /// Each rank is a group; ranks of the same node are adjacent.
    Ranks(&'a Topology),
    /// Each node is a group.
    Nodes(&'a Topology),
    /// All ranks are one group.
    World(&'a Topology),
}

use Groups::{Nodes, Ranks, World};

impl<'a> Groups<'a> {
    /// Number of groups.
    pub fn count(self) -> usize {
        match self {
            Ranks(topology) => topology.world(),
            Nodes(topology) => topology.nodes(),
            World(_) => 1,
        }
    }

    /// The ranks of a group.
    pub fn members(self, group: usize) -> &'a [usize] {
        match self {
            Ranks(topology) => &topology.order()[group..=group],
            Nodes(topology) => topology.members(group),
            World(topology) => topology.order(),
        }
    }

    /// The group of `rank`, and the position of `rank` in it.
    pub fn find(self, rank: usize) -> (usize, usize) {
        let place = |group: usize| self.members(group).iter().position(|member| *member == rank);
        let mut found = (0..self.count()).filter_map(|group| Some((group, place(group)?)));
        found.next().expect("every rank is in a group")
    }

    /// The sizes of the smallest and of the largest group.
    pub fn sizes(self) -> (usize, usize) {
        let sizes = || (0..self.count()).map(|group| self.members(group).len());
        (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0))
    }
}
