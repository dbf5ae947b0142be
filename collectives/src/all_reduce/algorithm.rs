//! The all-reduces of ternaries.

use super::groups::Groups;
use super::{Plan, Work, gather_ternary, halving_ternary, two_level, work};
use crate::planes::{TERNARY, width, words};
use crate::topology::Topology;
use crate::transport::meter::Traffic;
use crate::{Result, Transport};

/// An exact all-reduce of ternaries. All algorithms give the same integers; they differ in time. `docs/algorithms.md` has
/// the steps and bytes of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// A ring of all ranks, node after node. A sum over `k` ranks travels at [`width`]`(k)` planes.
    RingTernary,
    /// Every rank receives the ternaries of all ranks and adds them itself.
    GatherTernary,
    /// Every rank receives one chunk from all others, adds it, and sends the sums to all.
    DirectTernary,
    /// Recursive halving and doubling: in each round, pairs of ranks halve the part that they add;
    /// afterwards, each round doubles the part that they have.
    HalvingTernary,
    /// Directly within each node, in rings between the nodes: one ring per rank of the smallest node. Only the rings
    /// leave the nodes, so a node sends each element about twice, however many ranks it has.
    HierarchicalTernary,
}

use Algorithm::{DirectTernary, GatherTernary, HalvingTernary, HierarchicalTernary, RingTernary};

/// The implementation of an [`Algorithm`].
enum Implementation<'a> {
    TwoLevel(Groups<'a>),
    Gather,
    Halving,
}

impl Algorithm {
    /// All algorithms.
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

    /// The algorithm with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn implementation(self, topology: &Topology) -> Implementation<'_> {
        match self {
            RingTernary => Implementation::TwoLevel(Groups::Ranks(topology)),
            DirectTernary => Implementation::TwoLevel(Groups::World(topology)),
            HierarchicalTernary => Implementation::TwoLevel(Groups::Nodes(topology)),
            GatherTernary => Implementation::Gather,
            HalvingTernary => Implementation::Halving,
        }
    }

    /// Sums the ternaries of all ranks element by element.
    ///
    /// `ternary` holds the plan's blocks at width 2, `sums` receives them at [`width`]`(world)`.
    ///
    /// # Errors
    /// Those of the transport; [`Undecodable`](crate::Error::Undecodable) for a coded message with wrong content. Ranks whose
    /// plans differ in `blocks` get a
    /// [`LengthMismatch`](crate::Error::LengthMismatch) or a timeout; [`control::agree`](crate::control::agree) detects
    /// such a difference beforehand.
    ///
    /// # Panics
    /// If a slice has the wrong length, or if the plan has another world size than the transport.
    ///
    /// # Examples
    /// Three ranks on two nodes add up a payload of ones:
    ///
    /// ```
    /// use std::{thread, time::Duration};
    /// use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, SEGMENT};
    /// use ternflock_collectives::planes::{TERNARY, WORDS, get, width, words};
    /// use ternflock_collectives::topology::Topology;
    /// use ternflock_collectives::transport::{Transport, threads};
    ///
    /// let nodes = [0, 0, 1];
    /// thread::scope(|scope| {
    ///     for mut rank in threads::world_on(&nodes, Duration::from_secs(60)) {
    ///         scope.spawn(move || {
    ///             let topology = Topology::new(rank.nodes().to_vec());
    ///             let plan = Plan { topology: &topology, blocks: 1, segment: SEGMENT, coding: Coding::Never };
    ///             let mut ones = vec![0; words(1, TERNARY)];
    ///             ones[..WORDS].fill(u64::MAX); // the non-zero plane
    ///             let mut sums = vec![0; words(1, width(3))];
    ///             Algorithm::HierarchicalTernary.sum(&mut rank, plan, &ones, &mut sums).unwrap();
    ///             assert!((0..512).all(|element| get(&sums, width(3), element) == 3));
    ///         });
    ///     }
    /// });
    /// ```
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
        match self.implementation(plan.topology) {
            Implementation::TwoLevel(groups) => two_level::sum(transport, groups, plan, ternary, sums),
            Implementation::Gather => gather_ternary::sum(transport, plan, ternary, sums),
            Implementation::Halving => halving_ternary::sum(transport, plan, ternary, sums),
        }
    }

    /// The exact messages and additions of [`sum`](Algorithm::sum) on `rank`. Messages that are coded have at most these
    /// lengths.
    pub fn work(self, plan: Plan, rank: usize) -> Work {
        if plan.topology.world() == 1 {
            return Work::default();
        }
        match self.implementation(plan.topology) {
            Implementation::TwoLevel(groups) => two_level::work(groups, plan, rank),
            Implementation::Gather => gather_ternary::work(plan, rank),
            Implementation::Halving => halving_ternary::work(plan, rank),
        }
    }

    /// The exact traffic of [`sum`](Algorithm::sum) on `rank`. With [`Coding`](super::Coding), the messages are exact and the
    /// bytes an upper bound.
    pub fn traffic(self, plan: Plan, rank: usize) -> Traffic {
        work::traffic(plan.topology.world(), rank, |rank| self.work(plan, rank))
    }

    /// The length of the longest chain of messages in which each message can leave only when the one before
    /// has arrived. The payload has chunks of one segment each.
    pub fn steps(self, topology: &Topology) -> usize {
        if topology.world() == 1 {
            return 0;
        }
        match self.implementation(topology) {
            Implementation::TwoLevel(groups) => two_level::steps(groups),
            Implementation::Gather => gather_ternary::STEPS,
            Implementation::Halving => halving_ternary::steps(topology),
        }
    }

    /// The maximum number of these [`steps`](Algorithm::steps) that go from one node to another.
    pub fn inter_node_steps(self, topology: &Topology) -> usize {
        if topology.nodes() == 1 {
            return 0;
        }
        match self.implementation(topology) {
            Implementation::TwoLevel(groups) => two_level::inter_node_steps(groups),
            Implementation::Gather => gather_ternary::STEPS,
            Implementation::Halving => halving_ternary::inter_node_steps(topology),
        }
    }
}
