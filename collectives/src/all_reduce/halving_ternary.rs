//! Recursive halving and doubling: few steps for many ranks.
//!
//! Let Q be the largest power of two not above P. The first 2 (P - Q) ranks pair up, and the second of a pair sends its
//! ternaries to the first (*fold*), so that Q *players* remain, each over one or two ranks. In round `d` = 1, 2, 4, ...,
//! Q / 2 the players `q` and `q ^ d`, which hold sums of the same blocks over different ranks, halve these blocks between
//! them: each sends the other's half and adds what it receives to its own. At the end each holds the finished sums of a
//! Q-th of the payload. The rounds in reverse order double it again, and the folded ranks get the whole (*unfold*).
//! Neighbours exchange most, so ranks play node after node.

use std::iter;
use std::ops::Range;

use super::collect::{Part, collect, count};
use super::cut::{chunk, segments};
use super::work::Work;
use super::{Plan, recv_into, send_copy, words_of};
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
    let game = Game::new(plan);
    match game.role(transport.rank()) {
        Role::Folded { into } => {
            game.send(transport, into, ternary, TERNARY)?;
            game.recv(transport, into, sums)?;
        }
        Role::Player { player, folded } => {
            let finished = game.halve(transport, player, folded, ternary)?;
            sums[game.place(player, game.players)].copy_from_slice(&finished);
            transport.recycle(finished);
            for distance in game.rounds().rev() {
                let peer = player ^ distance;
                let known = &sums[game.place(player, 2 * distance)];
                game.send(transport, game.rank_of(peer), known, game.full)?;
                let place = &mut sums[game.place(peer, 2 * distance)];
                game.recv(transport, game.rank_of(peer), place)?;
            }
            if let Some(folded) = folded {
                game.send(transport, folded, sums, game.full)?;
            }
        }
    }
    transport.flush()
}

/// See [`Algorithm::work`](super::Algorithm::work).
pub(super) fn work(plan: Plan, rank: usize) -> Work {
    let game = Game::new(plan);
    let mut work = Work::default();
    let (player, folded) = match game.role(rank) {
        Role::Folded { into } => {
            game.count_sends(&mut work, into, plan.blocks, TERNARY);
            return work;
        }
        Role::Player { player, folded } => (player, folded),
    };
    if let Some(from) = folded {
        game.count_merge(&mut work, plan.blocks, 1, Part { from, ranks: 1 });
    }
    for distance in game.rounds() {
        let (peer, ranks) = (player ^ distance, game.covered(player, distance));
        let part = Part { from: game.rank_of(peer), ranks: game.covered(peer, distance) };
        game.count_sends(&mut work, part.from, game.held(peer, 2 * distance).len(), width(ranks));
        game.count_merge(&mut work, game.held(player, 2 * distance).len(), ranks, part);
    }
    for distance in game.rounds().rev() {
        let known = game.held(player, 2 * distance).len();
        game.count_sends(&mut work, game.rank_of(player ^ distance), known, game.full);
    }
    if let Some(folded) = folded {
        game.count_sends(&mut work, folded, plan.blocks, game.full);
    }
    work
}

/// See [`Algorithm::steps`](super::Algorithm::steps): 2 floor(log2 P), and 2 more if P is no power of two.
pub(super) fn steps(topology: &Topology) -> usize {
    let world = topology.world();
    let fold = if world.is_power_of_two() { 0 } else { 2 };
    2 * world.ilog2() as usize + fold
}

/// See [`Algorithm::far_steps`](super::Algorithm::far_steps): each round in which any pair is on two nodes counts twice,
/// and so does the fold.
pub(super) fn far_steps(topology: &Topology) -> usize {
    let game = Game::new(Plan { topology, blocks: 0, segment: 1 });
    let node = |player: usize| topology.node_of(game.rank_of(player));
    let is_far = |distance: &usize| (0..game.players).any(|player| node(player) != node(player ^ distance));
    let folds = |pair: usize| [0, 1].map(|half| topology.node_of(topology.order()[2 * pair + half]));
    let fold = (0..game.pairs).map(folds).any(|[one, other]| one != other);
    2 * (game.rounds().filter(is_far).count() + usize::from(fold))
}

/// What a rank does.
enum Role {
    /// It leaves the halving and doubling to rank `into`.
    Folded { into: usize },
    /// It is this player, for itself and for the rank `folded`.
    Player { player: usize, folded: Option<usize> },
}

/// Who plays, and which blocks they hold in which round.
struct Game<'a> {
    plan: Plan<'a>,
    /// Q, a power of two, at least 2.
    players: usize,
    /// Players that stand for two ranks: the first ones.
    pairs: usize,
    /// Width of a finished sum.
    full: usize,
}

impl<'a> Game<'a> {
    /// The game of `plan`'s ranks, at least two.
    fn new(plan: Plan<'a>) -> Self {
        let world = plan.topology.world();
        let players = 1 << world.ilog2();
        Game { plan, players, pairs: world - players, full: width(world) }
    }

    fn role(&self, rank: usize) -> Role {
        let order = self.plan.topology.order();
        let index = order.iter().position(|other| *other == rank).expect("every rank is in the order");
        if index >= 2 * self.pairs {
            Role::Player { player: index - self.pairs, folded: None }
        } else if index % 2 == 0 {
            Role::Player { player: index / 2, folded: Some(order[index + 1]) }
        } else {
            Role::Folded { into: order[index - 1] }
        }
    }

    fn rank_of(&self, player: usize) -> usize {
        self.plan.topology.order()[player + player.min(self.pairs)]
    }

    /// The distances of the rounds.
    fn rounds(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        (0..self.players.ilog2()).map(|round| 1 << round)
    }

    /// The blocks that `player` holds before the round of `distance`.
    fn held(&self, player: usize, distance: usize) -> Range<usize> {
        let rounds = self.rounds().take_while(|round| *round < distance);
        rounds.fold(0..self.plan.blocks, |held, round| chunk(held, 2, usize::from(player & round != 0)))
    }

    /// Where they are in a payload of sums.
    fn place(&self, player: usize, distance: usize) -> Range<usize> {
        words_of(&self.held(player, distance), self.full)
    }

    /// Ranks that the sums of `player` cover before the round of `distance`: its own and those of the players it has
    /// exchanged with, `distance` players side by side.
    fn covered(&self, player: usize, distance: usize) -> usize {
        let first = player / distance * distance;
        distance + self.pairs.clamp(first, first + distance) - first
    }

    /// The fold and the halving. Returns the finished sums of the blocks that `player` then holds.
    fn halve(
        &self,
        transport: &mut dyn Transport,
        player: usize,
        folded: Option<usize>,
        ternary: &[u64],
    ) -> Result<Vec<u64>> {
        let mut partial = match folded {
            Some(from) => self.merge(transport, ternary, 1, Part { from, ranks: 1 })?,
            None => {
                let mut copy = transport.buffer(ternary.len());
                copy.copy_from_slice(ternary);
                copy
            }
        };
        for distance in self.rounds() {
            let (peer, ranks) = (player ^ distance, self.covered(player, distance));
            let start = self.held(player, distance).start;
            let half = |player| {
                let Range { start: from, end } = self.held(player, 2 * distance);
                words_of(&(from - start..end - start), width(ranks))
            };
            let part = Part { from: self.rank_of(peer), ranks: self.covered(peer, distance) };
            self.send(transport, part.from, &partial[half(peer)], width(ranks))?;
            let sum = self.merge(transport, &partial[half(player)], ranks, part)?;
            transport.recycle(std::mem::replace(&mut partial, sum));
        }
        Ok(partial)
    }

    /// The sum of `own`, which is over `ranks` ranks, and of the sums that `part` sends.
    fn merge(
        &self,
        transport: &mut dyn Transport,
        own: &[u64],
        ranks: usize,
        part: Part,
    ) -> Result<Vec<u64>> {
        let (narrow, wide) = (width(ranks), width(ranks + part.ranks));
        let blocks = own.len() / words(1, narrow);
        let mut merged = transport.buffer(words(blocks, wide));
        for blocks in segments(0..blocks, self.plan.segment) {
            let sum = collect(transport, &own[words_of(&blocks, narrow)], ranks, iter::once(part))?;
            merged[words_of(&blocks, wide)].copy_from_slice(&sum);
            transport.recycle(sum);
        }
        Ok(merged)
    }

    /// Sends `content` to rank `to`.
    fn send(&self, transport: &mut dyn Transport, to: usize, content: &[u64], width: usize) -> Result<()> {
        segments(0..content.len() / words(1, width), self.plan.segment)
            .try_for_each(|blocks| send_copy(transport, to, &content[words_of(&blocks, width)]))
    }

    /// Receives finished sums from rank `from` into `place`.
    fn recv(&self, transport: &mut dyn Transport, from: usize, place: &mut [u64]) -> Result<()> {
        segments(0..place.len() / words(1, self.full), self.plan.segment)
            .try_for_each(|blocks| recv_into(transport, from, &mut place[words_of(&blocks, self.full)]))
    }

    /// What [`send`](Game::send) of `blocks` blocks sends.
    fn count_sends(&self, work: &mut Work, to: usize, blocks: usize, width: usize) {
        let segments = segments(0..blocks, self.plan.segment);
        segments.for_each(|blocks| work.send(to, words(blocks.len(), width)));
    }

    /// What [`merge`](Game::merge) of `blocks` blocks adds.
    fn count_merge(&self, work: &mut Work, blocks: usize, ranks: usize, part: Part) {
        let segments = segments(0..blocks, self.plan.segment);
        segments.for_each(|blocks| count(work, blocks.len(), ranks, iter::once(part)));
    }
}
