//! Records of all ranks, played together on one clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use super::network::{Network, Wire};
use super::record::Event;
use crate::topology::Topology;
use crate::transport::Lane;
use crate::{Error, Result};

/// Seconds after which each rank has done what its record says, on `network`; all begin at 0.
///
/// A message leaves when all before it on its node's link have, and comes in when all before it on the other node's have. Events
/// are taken in the order of their times, so a link serves first whom it hears first.
///
/// # Errors
/// [`Error::PeerGone`] for a rank that awaits a message which is never sent.
pub fn replay(topology: &Topology, network: &Network, records: &[Vec<Event>]) -> Result<Vec<f64>> {
    let world = topology.world();
    let mut play = Play {
        topology,
        network,
        out: vec![0.0; topology.nodes()],
        into: vec![0.0; topology.nodes()],
        left: vec![0.0; world],
        mail: HashMap::new(),
    };
    let mut clocks = vec![0.0; world];
    let mut next = vec![0; world];
    let mut waiting: HashMap<Way, usize> = HashMap::new();
    let mut ready: BinaryHeap<Reverse<(Instant, usize)>> =
        (0..world).map(|rank| Reverse((Instant(0.0), rank))).collect();
    while let Some(Reverse((_, rank))) = ready.pop() {
        let Some(event) = records[rank].get(next[rank]) else { continue };
        let clock = &mut clocks[rank];
        match *event {
            Event::Send { lane, to, words } => {
                *clock += play.wire(rank, to).message;
                play.send(rank, to, lane, words, *clock);
                let way = (rank, to, lane as usize);
                if waiting.remove(&way).is_some() {
                    ready.push(Reverse((Instant(clocks[to]), to)));
                }
            }
            Event::Receive { lane, from } => {
                let way = (from, rank, lane as usize);
                let Some(came) = play.mail.get_mut(&way).and_then(VecDeque::pop_front) else {
                    waiting.insert(way, rank);
                    continue;
                };
                *clock = clock.max(came) + play.wire(from, rank).message;
            }
            Event::Add { words } => *clock += network.add * words as f64,
            Event::Flush => *clock = clock.max(play.left[rank]),
        }
        next[rank] += 1;
        ready.push(Reverse((Instant(clocks[rank]), rank)));
    }
    match waiting.into_keys().min_by_key(|(_, rank, _)| *rank) {
        Some((peer, rank, _)) => Err(Error::PeerGone { rank, peer }),
        None => Ok(clocks),
    }
}

/// From a rank, to a rank, in a lane.
type Way = (usize, usize, usize);

struct Play<'a> {
    topology: &'a Topology,
    network: &'a Network,
    /// By node: until when its link is busy, outwards and inwards.
    out: Vec<f64>,
    into: Vec<f64>,
    /// By rank: when its last message has left.
    left: Vec<f64>,
    /// When messages come.
    mail: HashMap<Way, VecDeque<f64>>,
}

impl Play<'_> {
    fn is_near(&self, rank: usize, peer: usize) -> bool {
        self.topology.node_of(rank) == self.topology.node_of(peer)
    }

    fn wire(&self, rank: usize, peer: usize) -> &Wire {
        if self.is_near(rank, peer) { &self.network.near } else { &self.network.far }
    }

    fn send(&mut self, rank: usize, to: usize, lane: Lane, words: usize, now: f64) {
        let Wire { latency, byte, .. } = *self.wire(rank, to);
        let takes = byte * (8 * words) as f64;
        let came = if self.is_near(rank, to) {
            self.left[rank] = self.left[rank].max(now + takes);
            now + latency + takes
        } else {
            let (from, to) = (self.topology.node_of(rank), self.topology.node_of(to));
            let start = now.max(self.out[from]);
            self.out[from] = start + takes;
            self.left[rank] = start + takes;
            let came = (start + latency).max(self.into[to]) + takes;
            self.into[to] = came;
            came
        };
        self.mail.entry((rank, to, lane as usize)).or_default().push_back(came);
    }
}

/// Seconds, which are never NaN, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Instant(f64);

impl Eq for Instant {}

impl PartialOrd for Instant {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Instant {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
