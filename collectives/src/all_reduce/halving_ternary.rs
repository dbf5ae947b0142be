//! Recursive halving and doubling: few steps for many ranks.
//!
//! Let Q be the largest power of two not above P. The first 2 (P - Q) ranks pair up, and the second of a pair
//! sends its ternaries to the first (*fold*), so that Q *participants* remain, each with a sum over one or
//! two ranks. In round `d` = 1, 2, 4, ..., Q / 2, the participants `q` and `q ^ d` hold sums of the same
//! blocks over different ranks. They divide these blocks into halves: each sends the half of the other one
//! and adds the half that it receives to its own. At the end, each participant holds the finished sums of one
//! Q-th of the payload. The same rounds in reverse order double this part, and the folded ranks receive the
//! complete sum (*unfold*). Neighbours exchange most, so the participants are numbered node after node.

use std::iter;
use std::ops::Range;

use super::cut::{chunk, segments};
use super::reduce_parts::{PartialSum, count_additions, reduce_parts};
use super::wire::Wire;
use super::work::Work;
use super::{Coding, Plan, words_of};
use crate::planes::{TERNARY, width, words};
use crate::topology::Topology;
use crate::{Result, Transport};

/// See [`Algorithm::sum`](super::Algorithm::sum).
pub(super) fn sum(
    transport: &mut dyn Transport,
    plan: Plan,
    ternary: &[u64],
    sums: &mut [u64],
) -> Result<()> {
    let halving = HalvingPlan::new(plan);
    let rank = transport.rank();
    let mut wire = Wire::new(transport, plan);
    match halving.role(rank) {
        Role::Folded { into } => {
            halving.send(&mut wire, into, ternary, TERNARY)?;
            halving.recv(&mut wire, into, sums)?;
        }
        Role::Participant { participant, folded } => {
            let finished = halving.halve(&mut wire, participant, folded, ternary)?;
            sums[halving.place(participant, halving.participants)].copy_from_slice(&finished);
            wire.transport.recycle(finished);
            for distance in halving.rounds().rev() {
                let peer = participant ^ distance;
                let known = &sums[halving.place(participant, 2 * distance)];
                halving.send(&mut wire, halving.rank_of(peer), known, halving.full)?;
                let place = &mut sums[halving.place(peer, 2 * distance)];
                halving.recv(&mut wire, halving.rank_of(peer), place)?;
            }
            if let Some(folded) = folded {
                halving.send(&mut wire, folded, sums, halving.full)?;
            }
        }
    }
    wire.transport.flush()
}

/// See [`Algorithm::work`](super::Algorithm::work).
pub(super) fn work(plan: Plan, rank: usize) -> Work {
    let halving = HalvingPlan::new(plan);
    let mut work = Work::default();
    let (participant, folded) = match halving.role(rank) {
        Role::Folded { into } => {
            halving.count_sends(&mut work, into, plan.blocks, TERNARY);
            return work;
        }
        Role::Participant { participant, folded } => (participant, folded),
    };
    if let Some(from) = folded {
        halving.count_merge(&mut work, plan.blocks, 1, PartialSum { from, ranks: 1 });
    }
    for distance in halving.rounds() {
        let (peer, ranks) = (participant ^ distance, halving.covered(participant, distance));
        let part = PartialSum { from: halving.rank_of(peer), ranks: halving.covered(peer, distance) };
        halving.count_sends(&mut work, part.from, halving.held(peer, 2 * distance).len(), width(ranks));
        halving.count_merge(&mut work, halving.held(participant, 2 * distance).len(), ranks, part);
    }
    for distance in halving.rounds().rev() {
        let known = halving.held(participant, 2 * distance).len();
        halving.count_sends(&mut work, halving.rank_of(participant ^ distance), known, halving.full);
    }
    if let Some(folded) = folded {
        halving.count_sends(&mut work, folded, plan.blocks, halving.full);
    }
    work
}

/// See [`Algorithm::steps`](super::Algorithm::steps): 2 floor(log2 P), and 2 more if P is not a power of two.
pub(super) fn steps(topology: &Topology) -> usize {
    let world = topology.world();
    let fold = if world.is_power_of_two() { 0 } else { 2 };
    2 * world.ilog2() as usize + fold
}

/// See [`Algorithm::inter_node_steps`](super::Algorithm::inter_node_steps): a round in which any pair is on
/// two nodes counts twice, and so does such a fold.
pub(super) fn inter_node_steps(topology: &Topology) -> usize {
    let halving = HalvingPlan::new(Plan { topology, blocks: 0, segment: 1, coding: Coding::Never });
    let node = |participant: usize| topology.node_of(halving.rank_of(participant));
    let crosses_nodes = |distance: &usize| {
        (0..halving.participants).any(|participant| node(participant) != node(participant ^ distance))
    };
    let folds = |pair: usize| [0, 1].map(|half| topology.node_of(topology.order()[2 * pair + half]));
    let fold = (0..halving.pairs).map(folds).any(|[one, other]| one != other);
    2 * (halving.rounds().filter(crosses_nodes).count() + usize::from(fold))
}

/// The role of a rank.
enum Role {
    /// It is folded into rank `into`, which takes part in the halving and doubling.
    Folded { into: usize },
    /// It is this participant, for itself and for the folded rank `folded`.
    Participant { participant: usize, folded: Option<usize> },
}

/// The ranks that participate, and the blocks that they hold in each round.
struct HalvingPlan<'a> {
    plan: Plan<'a>,
    /// Q, a power of two, at least 2.
    participants: usize,
    /// The number of participants that stand for two ranks; they come first.
    pairs: usize,
    /// Width of a finished sum.
    full: usize,
}

impl<'a> HalvingPlan<'a> {
    /// The halving between the ranks of `plan`, of which there are at least two.
    fn new(plan: Plan<'a>) -> Self {
        let world = plan.topology.world();
        let participants = 1 << world.ilog2();
        HalvingPlan { plan, participants, pairs: world - participants, full: width(world) }
    }

    fn role(&self, rank: usize) -> Role {
        let order = self.plan.topology.order();
        let index = order.iter().position(|other| *other == rank).expect("every rank is in the order");
        if index >= 2 * self.pairs {
            Role::Participant { participant: index - self.pairs, folded: None }
        } else if index % 2 == 0 {
            Role::Participant { participant: index / 2, folded: Some(order[index + 1]) }
        } else {
            Role::Folded { into: order[index - 1] }
        }
    }

    fn rank_of(&self, participant: usize) -> usize {
        self.plan.topology.order()[participant + participant.min(self.pairs)]
    }

    /// The distances of all rounds.
    fn rounds(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        (0..self.participants.ilog2()).map(|round| 1 << round)
    }

    /// The blocks that `participant` holds before the round of `distance`.
    fn held(&self, participant: usize, distance: usize) -> Range<usize> {
        let rounds = self.rounds().take_while(|round| *round < distance);
        rounds.fold(0..self.plan.blocks, |held, round| chunk(held, 2, usize::from(participant & round != 0)))
    }

    /// The position of these blocks in a payload of sums.
    fn place(&self, participant: usize, distance: usize) -> Range<usize> {
        words_of(&self.held(participant, distance), self.full)
    }

    /// The number of ranks that the sums of `participant` cover before the round of `distance`: its own and
    /// those of the participants that it has exchanged with, which are `distance` adjacent participants.
    fn covered(&self, participant: usize, distance: usize) -> usize {
        let first = participant / distance * distance;
        distance + self.pairs.clamp(first, first + distance) - first
    }

    /// Performs the fold and the halving. Returns the finished sums of the blocks that `participant` then
    /// holds.
    fn halve(
        &self,
        wire: &mut Wire,
        participant: usize,
        folded: Option<usize>,
        ternary: &[u64],
    ) -> Result<Vec<u64>> {
        let mut partial = match folded {
            Some(from) => self.merge(wire, ternary, 1, PartialSum { from, ranks: 1 })?,
            None => {
                let mut copy = wire.transport.buffer(ternary.len());
                copy.copy_from_slice(ternary);
                copy
            }
        };
        for distance in self.rounds() {
            let (peer, ranks) = (participant ^ distance, self.covered(participant, distance));
            let start = self.held(participant, distance).start;
            let half = |participant| {
                let Range { start: from, end } = self.held(participant, 2 * distance);
                words_of(&(from - start..end - start), width(ranks))
            };
            let part = PartialSum { from: self.rank_of(peer), ranks: self.covered(peer, distance) };
            self.send(wire, part.from, &partial[half(peer)], width(ranks))?;
            let sum = self.merge(wire, &partial[half(participant)], ranks, part)?;
            wire.transport.recycle(std::mem::replace(&mut partial, sum));
        }
        Ok(partial)
    }

    /// The sum of `own`, which is over `ranks` ranks, and of the sums that `part` sends.
    fn merge(&self, wire: &mut Wire, own: &[u64], ranks: usize, part: PartialSum) -> Result<Vec<u64>> {
        let (narrow, wide) = (width(ranks), width(ranks + part.ranks));
        let blocks = own.len() / words(1, narrow);
        let mut merged = wire.transport.buffer(words(blocks, wide));
        for blocks in segments(0..blocks, self.plan.segment) {
            let sum = reduce_parts(wire, &own[words_of(&blocks, narrow)], ranks, iter::once(part))?;
            merged[words_of(&blocks, wide)].copy_from_slice(&sum);
            wire.transport.recycle(sum);
        }
        Ok(merged)
    }

    /// Sends `content` to rank `to`.
    fn send(&self, wire: &mut Wire, to: usize, content: &[u64], width: usize) -> Result<()> {
        segments(0..content.len() / words(1, width), self.plan.segment)
            .try_for_each(|blocks| wire.send_copy(to, width, &content[words_of(&blocks, width)]))
    }

    /// Receives finished sums from rank `from` into `place`.
    fn recv(&self, wire: &mut Wire, from: usize, place: &mut [u64]) -> Result<()> {
        segments(0..place.len() / words(1, self.full), self.plan.segment)
            .try_for_each(|blocks| wire.recv_into(from, self.full, &mut place[words_of(&blocks, self.full)]))
    }

    /// The message of a [`send`](HalvingPlan::send) of `blocks` blocks.
    fn count_sends(&self, work: &mut Work, to: usize, blocks: usize, width: usize) {
        let segments = segments(0..blocks, self.plan.segment);
        segments.for_each(|blocks| work.send(to, words(blocks.len(), width)));
    }

    /// The additions of a [`merge`](HalvingPlan::merge) of `blocks` blocks.
    fn count_merge(&self, work: &mut Work, blocks: usize, ranks: usize, part: PartialSum) {
        let segments = segments(0..blocks, self.plan.segment);
        segments.for_each(|blocks| count_additions(work, blocks.len(), ranks, iter::once(part)));
    }
}
