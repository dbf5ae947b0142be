//! All-reduce at two levels: directly within groups of ranks, and in rings between the groups.
//!
//! Three algorithms differ only in their groups: the ring (each rank is a group, so nothing is scattered or shared), the
//! direct all-reduce (all ranks are one group, so there is no ring) and the hierarchical one (each node is a group).
//!
//! Let C be the size of the smallest group. The payload is cut into C chunks, and the first C members of each
//! group are *owners*: in every group, place `c` owns chunk `c`. The owners of a chunk form a ring, which
//! cuts the chunk again, into one part per group.
//!
//! 1. *Scatter*: each rank sends its ternaries of chunk `c` to the owner of `c` in its group.
//! 2. *Ring*: the owners add the ternaries of their group to the sums that pass around the ring, and then
//!    pass the finished sums around.
//! 3. *Share*: each owner sends the finished sums to the rest of its group.
//!
//! The three overlap, segment by segment: the segments that the ring needs first are scattered first, and a
//! segment is shared as soon as it is finished.

use std::iter;
use std::ops::Range;

use super::cut::{chunk, segment};
use super::groups::Groups;
use super::reduce_parts::{PartialSum, count_additions, reduce_parts};
use super::ring::Ring;
use super::wire::{Segment, Wire};
use super::work::Work;
use super::{Plan, words_of};
use crate::planes::{TERNARY, width, words};
use crate::{Result, Transport};

/// Sums the ternaries of all ranks, as [`Algorithm::sum`](super::Algorithm::sum) does.
pub(super) fn sum(
    transport: &mut dyn Transport,
    groups: Groups,
    plan: Plan,
    ternary: &[u64],
    sums: &mut [u64],
) -> Result<()> {
    let member = Member::new(groups, plan, transport.rank());
    let mut wire = Wire::new(transport, plan);
    for (owner, blocks) in member.scattered() {
        wire.send_copy(member.group[owner], TERNARY, &ternary[words_of(&blocks, TERNARY)])?;
    }
    if member.is_owner() {
        member.reduce(&mut wire, ternary, sums)?;
        member.gather(&mut wire, sums)?;
    }
    for (owner, blocks) in member.shared() {
        wire.recv_into(member.group[owner], member.full, &mut sums[words_of(&blocks, member.full)])?;
    }
    wire.transport.flush()
}

/// The messages and additions of [`sum`] on `rank`.
pub(super) fn work(groups: Groups, plan: Plan, rank: usize) -> Work {
    let member = Member::new(groups, plan, rank);
    let mut work = Work::default();
    for (owner, blocks) in member.scattered() {
        work.send(member.group[owner], words(blocks.len(), TERNARY));
    }
    if !member.is_owner() {
        return work;
    }
    for (hop, part) in member.ring.reduce_scatter().enumerate() {
        let width = width(member.group.len() + member.covered(hop));
        for blocks in member.segments(member.place, part) {
            count_additions(&mut work, blocks.len(), 1, member.parts(hop));
            if part == member.ring.place {
                member.count_finished(&mut work, part, &blocks);
            } else {
                work.send(member.next(), words(blocks.len(), width));
            }
        }
    }
    for part in member.ring.all_gather() {
        member
            .segments(member.place, part)
            .for_each(|blocks| member.count_finished(&mut work, part, &blocks));
    }
    work
}

/// The length of the longest chain of messages: into and out of a group with more than one member, and twice
/// around the ring.
pub(super) fn steps(groups: Groups) -> usize {
    let within = if groups.sizes().1 > 1 { 2 } else { 0 };
    within + 2 * (groups.count() - 1)
}

/// The maximum number of these steps that go from one node to another.
pub(super) fn inter_node_steps(groups: Groups) -> usize {
    match groups {
        // The chain passes almost twice around a ring that leaves each node once.
        Groups::Ranks(topology) => steps(groups).min(2 * topology.nodes()),
        // Only the rings leave the nodes.
        Groups::Nodes(topology) => 2 * (topology.nodes() - 1),
        Groups::World(_) => steps(groups),
    }
}

/// The role of one rank.
struct Member<'a> {
    groups: Groups<'a>,
    plan: Plan<'a>,
    /// The ranks of the group, and the place of this rank in it.
    group: &'a [usize],
    place: usize,
    /// The group's place among the groups.
    ring: Ring,
    owners: usize,
    /// Width of a finished sum.
    full: usize,
}

impl<'a> Member<'a> {
    fn new(groups: Groups<'a>, plan: Plan<'a>, rank: usize) -> Self {
        let (group, place) = groups.find(rank);
        Member {
            groups,
            plan,
            group: groups.members(group),
            place,
            ring: Ring { place: group, size: groups.count() },
            owners: groups.sizes().0,
            full: width(plan.topology.world()),
        }
    }

    fn is_owner(&self) -> bool {
        self.place < self.owners
    }

    /// The owners of the same chunk before and after this one in the ring.
    fn previous(&self) -> usize {
        self.groups.members(self.ring.previous())[self.place]
    }

    fn next(&self) -> usize {
        self.groups.members(self.ring.next())[self.place]
    }

    /// The blocks of a segment in `owner`'s chunk, within the part of group `part`.
    fn segment(&self, owner: usize, part: usize, index: usize) -> Option<Range<usize>> {
        let whole = chunk(0..self.plan.blocks, self.owners, owner);
        segment(&chunk(whole, self.ring.size, part), self.plan.segment, index)
    }

    fn segments(&self, owner: usize, part: usize) -> impl Iterator<Item = Range<usize>> {
        (0..).map_while(move |index| self.segment(owner, part, index))
    }

    /// The places of the rest of the group, from the next one on. Each member starts with another one, so
    /// that no rank receives from all at once.
    fn mates(&self) -> impl DoubleEndedIterator<Item = usize> + Clone + 'a {
        let (place, size) = (self.place, self.group.len());
        (1..size).map(move |distance| (place + distance) % size)
    }

    /// The segments of this rank's ternaries that other owners of the group add, in the order in which they
    /// add them.
    fn scattered(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.of_owners(self.ring.reduce_scatter(), self.mates())
    }

    /// The segments of finished sums that other owners of the group share, in the order in which they finish them.
    fn shared(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let parts = iter::once(self.ring.place).chain(self.ring.all_gather());
        self.of_owners(parts, self.mates().rev())
    }

    /// For each of `parts`, the segments of the chunks of those `owners` that are owners: the first segment
    /// of each, then the second, and so on.
    fn of_owners(
        &self,
        parts: impl Iterator<Item = usize>,
        owners: impl Iterator<Item = usize> + Clone,
    ) -> impl Iterator<Item = (usize, Range<usize>)> {
        // Chunk 0 is the longest, so it has the most segments.
        let indices = move |part| (0..).take_while(move |index| self.segment(0, part, *index).is_some());
        let turns = parts.flat_map(move |part| indices(part).map(move |index| (part, index)));
        turns.flat_map(move |(part, index)| {
            let owners = owners.clone().filter(|owner| *owner < self.owners);
            owners.filter_map(move |owner| Some((owner, self.segment(owner, part, index)?)))
        })
    }

    /// The number of ranks that a sum in the ring covers in hop `hop` of the reduce-scatter, counted from 1.
    fn covered(&self, hop: usize) -> usize {
        (1..=hop).map(|distance| self.groups.members(self.ring.back(distance)).len()).sum()
    }

    /// The partial sums that an owner adds to its own ternaries in a hop: the sum from the ring, unless this
    /// rank starts it, and the ternaries of the group.
    fn parts(&self, hop: usize) -> impl Iterator<Item = PartialSum> {
        let ring = (hop > 0).then(|| PartialSum { from: self.previous(), ranks: self.covered(hop) });
        let mates = self.mates().rev().map(|place| PartialSum { from: self.group[place], ranks: 1 });
        ring.into_iter().chain(mates)
    }

    /// The reduce-scatter of the ring. After it, the group's part of the chunk is finished.
    fn reduce(&self, wire: &mut Wire, ternary: &[u64], sums: &mut [u64]) -> Result<()> {
        for (hop, part) in self.ring.reduce_scatter().enumerate() {
            let width = width(self.group.len() + self.covered(hop));
            for blocks in self.segments(self.place, part) {
                let own = &ternary[words_of(&blocks, TERNARY)];
                let sum = reduce_parts(wire, own, 1, self.parts(hop))?;
                if part == self.ring.place {
                    let place = &mut sums[words_of(&blocks, self.full)];
                    place.copy_from_slice(&sum);
                    self.finish(wire, part, place, Segment::of(sum))?;
                } else {
                    wire.send(self.next(), width, sum)?;
                }
            }
        }
        Ok(())
    }

    /// The all-gather of the ring.
    fn gather(&self, wire: &mut Wire, sums: &mut [u64]) -> Result<()> {
        for part in self.ring.all_gather() {
            for blocks in self.segments(self.place, part) {
                let place = &mut sums[words_of(&blocks, self.full)];
                let segment = wire.receive(self.previous(), self.full, place)?;
                self.finish(wire, part, place, segment)?;
            }
        }
        Ok(())
    }

    /// Shares a finished segment with the group and forwards it.
    fn finish(&self, wire: &mut Wire, part: usize, sums: &[u64], mut segment: Segment) -> Result<()> {
        for mate in self.mates() {
            wire.share(self.group[mate], self.full, sums, &mut segment)?;
        }
        if part == self.ring.next() {
            wire.discard(segment);
            return Ok(());
        }
        wire.pass_on(self.next(), self.full, sums, segment)
    }

    /// The messages of [`finish`](Member::finish).
    fn count_finished(&self, work: &mut Work, part: usize, blocks: &Range<usize>) {
        let words = words(blocks.len(), self.full);
        self.mates().for_each(|mate| work.send(self.group[mate], words));
        if part != self.ring.next() {
            work.send(self.next(), words);
        }
    }
}
