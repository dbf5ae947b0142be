//! Directly within groups of ranks, in rings between the groups.
//!
//! Three algorithms differ only in their groups: the ring (each rank is a group, so nothing is scattered or shared), the
//! direct all-reduce (all ranks are one group, so there is no ring) and the hierarchical one (each node is a group).
//!
//! With C the size of the smallest group the payload is cut into C chunks, and the first C members of each group are
//! *owners*: place `c` of every group owns chunk `c` there. The owners of a chunk form a ring, which cuts the chunk
//! once more, into a part for each group.
//!
//! 1. *Scatter*: each rank sends its ternaries of chunk `c` to the owner of `c` in its group.
//! 2. *Ring*: the owners add what their group sends to what comes round the ring, and take the finished sums round.
//! 3. *Share*: each owner gives the finished sums to the rest of its group.
//!
//! The three run into each other, segment by segment: what the ring needs first is scattered first, and a segment is
//! shared as soon as it is finished.

use std::iter;
use std::ops::Range;

use super::cut::{chunk, segment};
use super::groups::Groups;
use super::reduce_parts::{PartialSum, count_additions, reduce_parts};
use super::ring::Ring;
use super::work::Work;
use super::{Plan, recv_into, send_copy, words_of};
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
    for (owner, blocks) in member.scattered() {
        send_copy(transport, member.group[owner], &ternary[words_of(&blocks, TERNARY)])?;
    }
    if member.is_owner() {
        member.reduce(transport, ternary, sums)?;
        member.gather(transport, sums)?;
    }
    for (owner, blocks) in member.shared() {
        recv_into(transport, member.group[owner], &mut sums[words_of(&blocks, member.full)])?;
    }
    transport.flush()
}

/// What [`sum`] sends and adds on `rank`.
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

/// Messages of the longest chain: in and out of a group that has more than one member, and both ways round the ring.
pub(super) fn steps(groups: Groups) -> usize {
    let within = if groups.sizes().1 > 1 { 2 } else { 0 };
    within + 2 * (groups.count() - 1)
}

/// How many of these steps go from one node to another, at most.
pub(super) fn inter_node_steps(groups: Groups) -> usize {
    match groups {
        // The chain goes nearly twice round a ring that leaves each node once.
        Groups::Ranks(topology) => steps(groups).min(2 * topology.nodes()),
        // Only the rings leave the nodes.
        Groups::Nodes(topology) => 2 * (topology.nodes() - 1),
        Groups::World(_) => steps(groups),
    }
}

/// One rank's part in it.
struct Member<'a> {
    groups: Groups<'a>,
    plan: Plan<'a>,
    /// The ranks of the group, and this one's place among them.
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

    /// The blocks of a segment of `owner`'s chunk, in the part of it that the ring gives to group `part`.
    fn segment(&self, owner: usize, part: usize, index: usize) -> Option<Range<usize>> {
        let whole = chunk(0..self.plan.blocks, self.owners, owner);
        segment(&chunk(whole, self.ring.size, part), self.plan.segment, index)
    }

    fn segments(&self, owner: usize, part: usize) -> impl Iterator<Item = Range<usize>> {
        (0..).map_while(move |index| self.segment(owner, part, index))
    }

    /// The places of the rest of the group from the next one on: each member begins with another, so that nobody is sent
    /// to by all at once.
    fn mates(&self) -> impl DoubleEndedIterator<Item = usize> + Clone + 'a {
        let (place, size) = (self.place, self.group.len());
        (1..size).map(move |distance| (place + distance) % size)
    }

    /// The segments of this rank's ternaries that other owners of the group add, in the order in which they do.
    fn scattered(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.of_owners(self.ring.reduce_scatter(), self.mates())
    }

    /// The segments of finished sums that other owners of the group share, in the order in which they finish them.
    fn shared(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let parts = iter::once(self.ring.place).chain(self.ring.all_gather());
        self.of_owners(parts, self.mates().rev())
    }

    /// The segments of the chunks of `owners`, as far as they are owners, of each of `parts`: the first ones of all
    /// owners, then the second ones.
    fn of_owners(
        &self,
        parts: impl Iterator<Item = usize>,
        owners: impl Iterator<Item = usize> + Clone,
    ) -> impl Iterator<Item = (usize, Range<usize>)> {
        // Chunk 0 is the longest, so it has as many segments as any.
        let indices = move |part| (0..).take_while(move |index| self.segment(0, part, *index).is_some());
        let turns = parts.flat_map(move |part| indices(part).map(move |index| (part, index)));
        turns.flat_map(move |(part, index)| {
            let owners = owners.clone().filter(|owner| *owner < self.owners);
            owners.filter_map(move |owner| Some((owner, self.segment(owner, part, index)?)))
        })
    }

    /// Ranks that a sum covers which comes round the ring in hop `hop` of the reduce-scatter, counted from 1.
    fn covered(&self, hop: usize) -> usize {
        (1..=hop).map(|distance| self.groups.members(self.ring.back(distance)).len()).sum()
    }

    /// What an owner adds to its own ternaries in a hop: the sum from the ring, if it is not this rank that begins it,
    /// and the ternaries of the group.
    fn parts(&self, hop: usize) -> impl Iterator<Item = PartialSum> {
        let ring = (hop > 0).then(|| PartialSum { from: self.previous(), ranks: self.covered(hop) });
        let mates = self.mates().rev().map(|place| PartialSum { from: self.group[place], ranks: 1 });
        ring.into_iter().chain(mates)
    }

    /// The reduce-scatter of the ring. It ends with the group's part of the chunk finished.
    fn reduce(&self, transport: &mut dyn Transport, ternary: &[u64], sums: &mut [u64]) -> Result<()> {
        for (hop, part) in self.ring.reduce_scatter().enumerate() {
            for blocks in self.segments(self.place, part) {
                let own = &ternary[words_of(&blocks, TERNARY)];
                let sum = reduce_parts(transport, own, 1, self.parts(hop))?;
                if part == self.ring.place {
                    self.finish(transport, part, sum, &mut sums[words_of(&blocks, self.full)])?;
                } else {
                    transport.send(self.next(), sum)?;
                }
            }
        }
        Ok(())
    }

    /// The all-gather of the ring.
    fn gather(&self, transport: &mut dyn Transport, sums: &mut [u64]) -> Result<()> {
        for part in self.ring.all_gather() {
            for blocks in self.segments(self.place, part) {
                let place = &mut sums[words_of(&blocks, self.full)];
                let sum = transport.recv(self.previous(), place.len())?;
                self.finish(transport, part, sum, place)?;
            }
        }
        Ok(())
    }

    /// Keeps a finished segment in its `place`, shares it with the group and hands it on.
    fn finish(
        &self,
        transport: &mut dyn Transport,
        part: usize,
        sum: Vec<u64>,
        place: &mut [u64],
    ) -> Result<()> {
        place.copy_from_slice(&sum);
        for mate in self.mates() {
            send_copy(transport, self.group[mate], place)?;
        }
        if part == self.ring.next() {
            transport.recycle(sum);
            return Ok(());
        }
        transport.send(self.next(), sum)
    }

    /// What [`finish`](Member::finish) sends.
    fn count_finished(&self, work: &mut Work, part: usize, blocks: &Range<usize>) {
        let words = words(blocks.len(), self.full);
        self.mates().for_each(|mate| work.send(self.group[mate], words));
        if part != self.ring.next() {
            work.send(self.next(), words);
        }
    }
}
