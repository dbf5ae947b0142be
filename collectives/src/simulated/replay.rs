//! Simulates the records of all ranks on one clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use super::network::{Network, Wire};
use super::record::Event;
use crate::topology::Topology;
use crate::{Error, Result};

/// Seconds after which each rank has finished its record on `network`. All ranks start at 0.
///
/// A message leaves when all messages before it on its node's link have left. It is received when all
/// messages that reached the other node before it have been received. Events are processed in the order of
/// their times.
///
/// # Errors
/// [`Error::PeerGone`] for a rank that awaits a message that is never sent.
pub fn replay(topology: &Topology, network: &Network, records: &[Vec<Event>]) -> Result<Vec<f64>> {
    let mut replay = Replay::new(topology, network, records);
    while let Some(Reverse((Seconds(now), turn))) = replay.turns.pop() {
        match turn.checked_sub(topology.world()) {
            None => replay.go_on(turn),
            Some(message) => replay.arrive(message, now),
        }
    }
    match replay.waiting.into_keys().min_by_key(|(_, rank, _)| *rank) {
        Some((peer, rank, _)) => Err(Error::PeerGone { rank, peer }),
        None => Ok(replay.clocks),
    }
}

/// From a rank, to a rank, in a lane.
type Route = (usize, usize, usize);

/// A message between two nodes.
#[derive(Clone, Copy)]
struct InFlight {
    route: Route,
    /// The time of its bytes, in seconds.
    takes: f64,
}

struct Replay<'a> {
    topology: &'a Topology,
    network: &'a Network,
    records: &'a [Vec<Event>],
    /// By rank: its time, and its next event.
    clocks: Vec<f64>,
    next: Vec<usize>,
    /// The times at which ranks continue or messages reach their node. Messages are numbered after the ranks.
    turns: BinaryHeap<Reverse<(Seconds, usize)>>,
    /// Messages in transit, and free places among them.
    messages: Vec<InFlight>,
    free: Vec<usize>,
    /// By node: the times until which its link is busy, outwards and inwards.
    out: Vec<f64>,
    into: Vec<f64>,
    /// By rank: the time at which its last message has left.
    left: Vec<f64>,
    /// The arrival times of messages that have not been received yet.
    mail: HashMap<Route, VecDeque<f64>>,
    /// Ranks that wait for a message.
    waiting: HashMap<Route, usize>,
}

impl<'a> Replay<'a> {
    fn new(topology: &'a Topology, network: &'a Network, records: &'a [Vec<Event>]) -> Replay<'a> {
        let (world, nodes) = (topology.world(), topology.nodes());
        Replay {
            topology,
            network,
            records,
            clocks: vec![0.0; world],
            next: vec![0; world],
            turns: (0..world).map(|rank| Reverse((Seconds(0.0), rank))).collect(),
            messages: Vec::new(),
            free: Vec::new(),
            out: vec![0.0; nodes],
            into: vec![0.0; nodes],
            left: vec![0.0; world],
            mail: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    /// The next event of `rank`.
    fn go_on(&mut self, rank: usize) {
        let Some(event) = self.records[rank].get(self.next[rank]) else { return };
        match *event {
            Event::Send { lane, to, words } => {
                self.clocks[rank] += self.wire(rank, to).message;
                self.send((rank, to, lane as usize), words);
            }
            Event::Receive { lane, from } => {
                let route = (from, rank, lane as usize);
                let Some(came) = self.mail.get_mut(&route).and_then(VecDeque::pop_front) else {
                    self.waiting.insert(route, rank);
                    return;
                };
                self.clocks[rank] = self.clocks[rank].max(came) + self.wire(from, rank).message;
            }
            Event::Add { words } => self.clocks[rank] += self.network.add * words as f64,
            Event::Flush => self.clocks[rank] = self.clocks[rank].max(self.left[rank]),
        }
        self.next[rank] += 1;
        self.turns.push(Reverse((Seconds(self.clocks[rank]), rank)));
    }

    fn share_node(&self, rank: usize, peer: usize) -> bool {
        self.topology.node_of(rank) == self.topology.node_of(peer)
    }

    fn wire(&self, rank: usize, peer: usize) -> &'a Wire {
        if self.share_node(rank, peer) { &self.network.intra_node } else { &self.network.inter_node }
    }

    fn send(&mut self, route: Route, words: usize) {
        let (rank, to, _) = route;
        let Wire { latency, byte, .. } = *self.wire(rank, to);
        let (now, takes) = (self.clocks[rank], byte * (8 * words) as f64);
        if self.share_node(rank, to) {
            self.left[rank] = self.left[rank].max(now + takes);
            return self.come(route, now + latency + takes);
        }
        let out = &mut self.out[self.topology.node_of(rank)];
        let start = now.max(*out);
        *out = start + takes;
        self.left[rank] = *out;
        let message = self.free.pop().unwrap_or(self.messages.len());
        if message == self.messages.len() {
            self.messages.push(InFlight { route, takes });
        }
        self.messages[message] = InFlight { route, takes };
        self.turns.push(Reverse((Seconds(start + latency), self.clocks.len() + message)));
    }

    /// The beginning of a message has reached its node.
    fn arrive(&mut self, message: usize, now: f64) {
        let InFlight { route, takes } = self.messages[message];
        self.free.push(message);
        let into = &mut self.into[self.topology.node_of(route.1)];
        *into = now.max(*into) + takes;
        let came = *into;
        self.come(route, came);
    }

    /// The entire message arrives at `came`: the rank that waits for it continues then.
    fn come(&mut self, route: Route, came: f64) {
        self.mail.entry(route).or_default().push_back(came);
        if let Some(rank) = self.waiting.remove(&route) {
            self.turns.push(Reverse((Seconds(self.clocks[rank].max(came)), rank)));
        }
    }
}

/// Seconds, which are never NaN, with a total order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seconds(f64);

impl Eq for Seconds {}

impl PartialOrd for Seconds {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Seconds {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
