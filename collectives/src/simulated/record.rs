//! The record of a rank's operations in a collective.

use std::fmt;
use std::mem;
use std::time::Duration;

use crate::topology::Topology;
use crate::transport::{Lane, Length, Pool, Transport, Wait};
use crate::{Error, Result};

/// An operation that takes time or waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message is sent.
    Send {
        /// Its lane.
        lane: Lane,
        /// The receiving rank.
        to: usize,
        /// Its length.
        words: usize,
    },
    /// The next message in a lane from a rank is awaited.
    Receive {
        /// The lane.
        lane: Lane,
        /// The sending rank.
        from: usize,
    },
    /// Words of a sum are written.
    Add {
        /// The number of words.
        words: usize,
    },
    /// The rank waits until all its messages have left.
    Flush,
}

/// A transport of one rank at a time, without peers. It records messages and drops them. Every awaited
/// message is available immediately, in its maximum length and with unspecified contents.
///
/// A test transport can wrap a recorder, forward to it ([`forward_transport`](crate::forward_transport)) and replace only
/// [`Transport::send_on`] and [`Transport::poll`].
#[derive(Debug)]
pub struct Recorder {
    rank: usize,
    nodes: Vec<usize>,
    pool: Pool,
    events: Vec<Event>,
}

impl Recorder {
    /// A recorder for the ranks of `topology`, at rank 0.
    pub fn new(topology: &Topology) -> Recorder {
        let nodes = (0..topology.world()).map(|rank| topology.node_of(rank)).collect();
        Recorder { rank: 0, nodes, pool: Pool::default(), events: Vec::new() }
    }

    /// Becomes rank `rank`, with an empty record.
    pub fn begin(&mut self, rank: usize) {
        self.rank = rank;
        self.events.clear();
    }

    /// Returns the record of the current rank, and empties it.
    pub fn finish(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }
}

impl Transport for Recorder {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.nodes.len()
    }

    fn nodes(&self) -> &[usize] {
        &self.nodes
    }

    fn deadline(&self) -> Duration {
        Duration::MAX
    }

    fn set_context(&mut self, _: fmt::Arguments<'_>) {}

    fn buffer(&mut self, words: usize) -> Vec<u64> {
        self.pool.take(words)
    }

    fn recycle(&mut self, buffer: Vec<u64>) {
        self.pool.give(buffer);
    }

    fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()> {
        self.events.push(Event::Send { lane, to, words: message.len() });
        self.pool.give(message);
        Ok(())
    }

    fn poll(&mut self, lane: Lane, from: usize, length: Length) -> Result<Option<Vec<u64>>> {
        self.events.push(Event::Receive { lane, from });
        Ok(Some(self.pool.take(length.max())))
    }

    fn pending(&mut self) -> Result<Option<(usize, usize)>> {
        if self.events.last() != Some(&Event::Flush) {
            self.events.push(Event::Flush);
        }
        Ok(None)
    }

    /// Nothing is ever late here.
    fn pause(&mut self, wait: &Wait) -> Result<()> {
        Err(Error::PeerGone { rank: self.rank, peer: wait.peer })
    }

    fn adds(&mut self, words: usize) {
        self.events.push(Event::Add { words });
    }
}
