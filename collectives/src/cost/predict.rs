//! Predicts the seconds of an exchange from the costs of sending, receiving, adding, encoding and decoding.

use super::{Costs, Link};
use crate::all_reduce::{Algorithm, Coding, Plan, Work, ring_f32};
use crate::control;
use crate::planes::BLOCK;
use crate::topology::Topology;

/// The maximum number of nodes, and of ranks per node, that are evaluated. If there are more, these represent
/// the others.
const NODES: usize = 4;
const RANKS: usize = 8;

/// The bytes of coded planes relative to fixed ones: a typical share, measured on the dense gradients of an LSTM
/// (docs/results.md). Sparse gradients take less.
pub const CODED_SHARE: f64 = 0.5;

impl Costs {
    /// Seconds of the maximum over all ranks of `values` values: the scales and other words that are reduced
    /// with them.
    pub fn maximum(&self, topology: &Topology, values: usize) -> f64 {
        let bytes = (8 * values.div_ceil(2)) as f64;
        let crosses = |distance: usize| {
            let world = topology.world();
            (0..world).any(|rank| topology.node_of(rank) != topology.node_of((rank + distance) % world))
        };
        let members = sample(topology).into_iter().map(|node| node.members).max().unwrap_or(1) as f64;
        let round = |distance| {
            let link = if crosses(distance) { &self.inter_node } else { &self.intra_node };
            link.seconds(1, 1.0, bytes * members)
        };
        control::distances(topology.world()).map(round).sum()
    }

    /// Seconds to encode `elements` elements as ternaries, sum them with `algorithm` and decode them, on each
    /// rank.
    pub fn ternary(&self, algorithm: Algorithm, topology: &Topology, elements: usize) -> f64 {
        self.coded_ternary(algorithm, topology, elements, Coding::Never)
    }

    /// [`Costs::ternary`] with messages that are coded, if they take [`CODED_SHARE`] of their bytes then. A rank codes each
    /// message that it sends, and receives as many.
    pub fn coded_ternary(
        &self,
        algorithm: Algorithm,
        topology: &Topology,
        elements: usize,
        coding: Coding,
    ) -> f64 {
        // One message per chunk: further ones follow immediately, and their cost is included in the cost per
        // byte.
        let plan =
            Plan { topology, blocks: elements.div_ceil(BLOCK), segment: usize::MAX, coding: Coding::Never };
        let (steps, inter_node_steps) = match elements {
            0 => (0, 0),
            _ => (algorithm.steps(topology), algorithm.inter_node_steps(topology)),
        };
        let mut load = Load::of(topology, |rank| algorithm.work(plan, rank));
        let coder = load.code(coding) * (self.code_planes + self.restore_planes);
        let codec = elements as f64 * (self.encode + self.decode);
        codec + coder + load.added * self.add_planes + self.links(&load, steps, inter_node_steps)
    }

    /// Seconds to average `elements` elements as float32.
    pub fn float32(&self, topology: &Topology, elements: usize) -> f64 {
        let world = topology.world();
        let (steps, inter_node_steps) = match elements {
            0 => (0, 0),
            _ => (ring_f32::steps(world), ring_f32::inter_node_steps(topology)),
        };
        let load = Load::of(topology, |rank| ring_f32::work(usize::MAX, elements, world, rank));
        elements as f64 * self.copy
            + load.added * self.add_floats
            + self.links(&load, steps, inter_node_steps)
    }

    fn links(&self, load: &Load, steps: usize, inter_node_steps: usize) -> f64 {
        self.intra_node.seconds(steps - inter_node_steps, load.intra_node.messages, load.intra_node.bytes)
            + self.inter_node.seconds(inter_node_steps, load.inter_node.messages, load.inter_node.bytes)
    }
}

impl Link {
    /// Seconds of `steps` messages one after the other, if a rank sends `messages` messages and a node
    /// `bytes` bytes in total.
    fn seconds(&self, steps: usize, messages: f64, bytes: f64) -> f64 {
        let steps = steps as f64;
        steps * self.latency + (messages - steps).max(0.0) * self.message + bytes * self.byte
    }
}

/// The work of the busiest ranks and nodes.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    intra_node: Sent,
    inter_node: Sent,
    /// Words that a rank sends over any link.
    words: f64,
    /// Words of sums that a rank writes.
    added: f64,
}

/// The traffic over one kind of link.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// Messages per rank.
    messages: f64,
    /// Words per rank.
    words: f64,
    /// Bytes per node.
    bytes: f64,
}

impl Load {
    /// Reduces the bytes to those of coded messages, and returns the words that a rank codes.
    fn code(&mut self, coding: Coding) -> f64 {
        if coding != Coding::Never {
            self.inter_node.bytes *= CODED_SHARE;
        }
        if coding == Coding::Always {
            self.intra_node.bytes *= CODED_SHARE;
        }
        match coding {
            Coding::Never => 0.0,
            Coding::BetweenNodes => self.inter_node.words,
            Coding::Always => self.words,
        }
    }

    fn of(topology: &Topology, work: impl Fn(usize) -> Work) -> Load {
        let mut load = Load::default();
        for node in sample(topology) {
            let (mut intra_node, mut inter_node) = (0.0, 0.0);
            for (rank, weight) in node.ranks {
                let Work { sends, added_words } = work(rank);
                let (mut own_intra_node, mut own_inter_node) = (Sent::default(), Sent::default());
                for message in sends {
                    let share_node = topology.node_of(message.to) == topology.node_of(rank);
                    let sent = if share_node { &mut own_intra_node } else { &mut own_inter_node };
                    sent.messages += 1.0;
                    sent.words += message.words as f64;
                    sent.bytes += (8 * message.words) as f64;
                }
                intra_node += weight * own_intra_node.bytes;
                inter_node += weight * own_inter_node.bytes;
                load.intra_node.messages = load.intra_node.messages.max(own_intra_node.messages);
                load.inter_node.messages = load.inter_node.messages.max(own_inter_node.messages);
                load.inter_node.words = load.inter_node.words.max(own_inter_node.words);
                load.words = load.words.max(own_intra_node.words + own_inter_node.words);
                load.added = load.added.max(added_words as f64);
            }
            load.intra_node.bytes = load.intra_node.bytes.max(intra_node);
            load.inter_node.bytes = load.inter_node.bytes.max(inter_node);
        }
        load
    }
}

/// A node and its ranks that are evaluated, each with the number of ranks that it represents.
struct Node {
    members: usize,
    ranks: Vec<(usize, f64)>,
}

/// The first and the last node, some in between, and the largest one.
fn sample(topology: &Topology) -> Vec<Node> {
    let nodes = topology.nodes();
    let taken = nodes.min(NODES);
    let mut seen: Vec<usize> = (0..taken).map(|index| index * (nodes - 1) / (taken - 1).max(1)).collect();
    let largest = (0..nodes).max_by_key(|node| topology.members(*node).len());
    seen.extend(largest.filter(|node| !seen.contains(node)));
    let look = |node| {
        let members = topology.members(node);
        let ranks = places(members.len()).into_iter().map(|(place, weight)| (members[place], weight));
        Node { members: members.len(), ranks: ranks.collect() }
    };
    seen.into_iter().map(look).collect()
}

/// The places that are evaluated on a node with `members` ranks, and the number of places that each
/// represents. If there are too many, these are the first and the last, which have special roles in a ring,
/// and pairs of neighbours in between, which have special roles in a fold.
fn places(members: usize) -> Vec<(usize, f64)> {
    if members <= RANKS {
        return (0..members).map(|place| (place, 1.0)).collect();
    }
    let (inner, pairs) = (members - 2, RANKS / 2 - 1);
    let first = |pair: usize| 1 + pair * (inner - 2) / (pairs - 1);
    let weight = inner as f64 / (2 * pairs) as f64;
    let between = (0..pairs).flat_map(|pair| [first(pair), first(pair) + 1]).map(|place| (place, weight));
    [(0, 1.0)].into_iter().chain(between).chain([(members - 1, 1.0)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_are_looked_at_differ_and_stand_for_all() {
        for members in 1..200 {
            let places = places(members);
            let all: f64 = places.iter().map(|(_, weight)| weight).sum();
            assert!((all - members as f64).abs() < 1e-9, "{members}");
            assert!(places.is_sorted_by(|a, b| a.0 < b.0) && places[places.len() - 1].0 == members - 1);
        }
    }

    #[test]
    fn the_first_the_last_and_the_largest_node_are_looked_at() {
        let node = |rank: usize| if (5..9).contains(&rank) { 5 } else { rank };
        let seen = sample(&Topology::new((0..40).map(node).collect()));
        assert_eq!((seen[0].ranks[0].0, seen[NODES - 1].ranks[0].0, seen[NODES].members), (0, 39, 4));
        assert_eq!((sample(&Topology::single(1)).len(), sample(&Topology::flat(3)).len()), (1, 3));
    }
}
