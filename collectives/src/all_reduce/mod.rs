//! All-reduces: every rank ends with the sum over all ranks.
//!
//! Those of ternaries all give the same integers, so they differ in time alone: [`Algorithm`] is the choice. A *chunk*
//! travels as a row of *segments*, one a message: while one is added, those behind it are under way, and it is sent on
//! at once.

mod collect;
pub mod cut;
mod direct_ternary;
mod gather_ternary;
mod groups;
mod halving_ternary;
mod hierarchical_ternary;
pub mod ring;
pub mod ring_f32;
mod ring_ternary;
mod two_level;
mod work;

use std::ops::Range;

pub use work::{Message, Work};

use crate::planes::{TERNARY, width, words};
use crate::topology::Topology;
use crate::transport::meter::Traffic;
use crate::{Result, Transport};

/// Blocks of a segment, 128 KiB of ternaries: where ranks share memory, shorter ones cost more in messages than they
/// hide, and longer ones are no faster.
pub const SEGMENT: usize = 1024;

/// What the ranks add, and how they cut it. It must be equal on all of them.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The ranks.
    pub topology: &'a Topology,
    /// Blocks of the payload.
    pub blocks: usize,
    /// Blocks of a segment, [`SEGMENT`] unless there is a reason.
    pub segment: usize,
}

/// An exact all-reduce of ternaries. Steps and bytes of each are in `docs/algorithms.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// A ring of all ranks, node after node, of sums that widen as they collect ranks.
    RingTernary,
    /// Every rank gets the ternaries of all and adds them itself.
    GatherTernary,
    /// Every rank adds one chunk, which it gets from all others, and gives the sums to all.
    DirectTernary,
    /// Pairs of ranks halve what they add, then double what they know.
    HalvingTernary,
    /// Directly within each node, with rings between the nodes.
    HierarchicalTernary,
}

use Algorithm::{DirectTernary, GatherTernary, HalvingTernary, HierarchicalTernary, RingTernary};

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 5] =
        [RingTernary, GatherTernary, DirectTernary, HalvingTernary, HierarchicalTernary];

    /// The name that job files, reports and benchmarks use.
    pub fn name(self) -> &'static str {
        match self {
            RingTernary => "ring_ternary",
            GatherTernary => "gather_ternary",
            DirectTernary => "direct_ternary",
            HalvingTernary => "halving_ternary",
            HierarchicalTernary => "hierarchical_ternary",
        }
    }

    /// The algorithm of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Sums the ternaries of all ranks element by element.
    ///
    /// `ternary` holds the plan's blocks at width 2, `sums` receives them at [`width`]`(world)`.
    ///
    /// # Errors
    /// Those of the transport. Ranks whose plans differ in `blocks` get a
    /// [`LengthMismatch`](crate::Error::LengthMismatch) or wait in vain;
    /// [`small::agree`](crate::small::agree) tells beforehand.
    ///
    /// # Panics
    /// If a slice has another length, or the plan another world than the transport.
    pub fn sum(
        self,
        transport: &mut dyn Transport,
        plan: Plan,
        ternary: &[u64],
        sums: &mut [u64],
    ) -> Result<()> {
        let world = transport.world();
        assert_eq!(plan.topology.world(), world, "ranks of the plan");
        assert_eq!(ternary.len(), words(plan.blocks, TERNARY), "words of ternaries");
        assert_eq!(sums.len(), words(plan.blocks, width(world)), "words of sums");
        if world == 1 {
            sums.copy_from_slice(ternary);
            return Ok(());
        }
        match self {
            RingTernary => ring_ternary::sum(transport, plan, ternary, sums),
            GatherTernary => gather_ternary::sum(transport, plan, ternary, sums),
            DirectTernary => direct_ternary::sum(transport, plan, ternary, sums),
            HalvingTernary => halving_ternary::sum(transport, plan, ternary, sums),
            HierarchicalTernary => hierarchical_ternary::sum(transport, plan, ternary, sums),
        }
    }

    /// Exactly what [`sum`](Algorithm::sum) sends and adds on `rank`.
    pub fn work(self, plan: Plan, rank: usize) -> Work {
        if plan.topology.world() == 1 {
            return Work::default();
        }
        match self {
            RingTernary => ring_ternary::work(plan, rank),
            GatherTernary => gather_ternary::work(plan, rank),
            DirectTernary => direct_ternary::work(plan, rank),
            HalvingTernary => halving_ternary::work(plan, rank),
            HierarchicalTernary => hierarchical_ternary::work(plan, rank),
        }
    }

    /// Exactly what [`sum`](Algorithm::sum) sends and receives on `rank`.
    pub fn traffic(self, plan: Plan, rank: usize) -> Traffic {
        work::traffic(plan.topology.world(), rank, |rank| self.work(plan, rank))
    }

    /// Messages of the longest chain in which each can only leave when the one before it has come, for a payload whose
    /// chunks are one segment each.
    pub fn steps(self, topology: &Topology) -> usize {
        if topology.world() == 1 {
            return 0;
        }
        match self {
            RingTernary => ring_ternary::steps(topology),
            GatherTernary => gather_ternary::STEPS,
            DirectTernary => direct_ternary::steps(topology),
            HalvingTernary => halving_ternary::steps(topology),
            HierarchicalTernary => hierarchical_ternary::steps(topology),
        }
    }

    /// How many of these [`steps`](Algorithm::steps) go from a node to another, at most.
    pub fn far_steps(self, topology: &Topology) -> usize {
        if topology.nodes() == 1 {
            return 0;
        }
        match self {
            RingTernary => ring_ternary::far_steps(topology),
            GatherTernary => gather_ternary::STEPS,
            DirectTernary => direct_ternary::steps(topology),
            HalvingTernary => halving_ternary::far_steps(topology),
            HierarchicalTernary => hierarchical_ternary::far_steps(topology),
        }
    }
}

/// Where a payload of `width` holds `blocks`.
fn words_of(blocks: &Range<usize>, width: usize) -> Range<usize> {
    words(blocks.start, width)..words(blocks.end, width)
}

/// Sends a copy of `content` to rank `to`.
fn send_copy(transport: &mut dyn Transport, to: usize, content: &[u64]) -> Result<()> {
    let mut message = transport.buffer(content.len());
    message.copy_from_slice(content);
    transport.send(to, message)
}

/// Receives the next message of rank `from` into `place`.
fn recv_into(transport: &mut dyn Transport, from: usize, place: &mut [u64]) -> Result<()> {
    let message = transport.recv(from, place.len())?;
    place.copy_from_slice(&message);
    transport.recycle(message);
    Ok(())
}
