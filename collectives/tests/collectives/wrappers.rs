//! Transports that wrap another one to expose behaviour that the plain one hides.

use std::collections::VecDeque;
use std::thread;

use ternflock_collectives::transport::threads::{self, ThreadTransport};
use ternflock_collectives::transport::{Lane, Length, Wait};
use ternflock_collectives::{Error, Result, Transport, forward_transport};

use crate::{DEADLINE, random};

/// Delays messages by random times: those between two ranks stay in order, and those of different pairs
/// overtake each other.
pub struct Late {
    inner: ThreadTransport,
    /// By receiver.
    held: Vec<VecDeque<(Lane, Vec<u64>)>>,
    random: Box<dyn Iterator<Item = u64> + Send>,
}

impl Late {
    /// The ranks of a world in which each rank draws its delays from `seed`.
    pub fn world(size: usize, seed: u64) -> Vec<Late> {
        let ranks = threads::world(size, DEADLINE).into_iter();
        let late = |inner: ThreadTransport| Late {
            held: vec![VecDeque::new(); size],
            random: Box::new(random(!seed, inner.rank())),
            inner,
        };
        ranks.map(late).collect()
    }

    /// Releases at most one message, for a receiver drawn at random.
    fn release(&mut self) -> Result<()> {
        let draw = self.random.next().expect("there is no end") as usize;
        let to = draw % self.held.len();
        self.held[to].pop_front().map_or(Ok(()), |(lane, message)| self.inner.send_on(lane, to, message))
    }
}

impl Transport for Late {
    forward_transport!(inner: rank world nodes deadline set_context buffer recycle);

    fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()> {
        self.held[to].push_back((lane, message));
        Ok(())
    }

    fn poll(&mut self, lane: Lane, from: usize, length: Length) -> Result<Option<Vec<u64>>> {
        self.release()?;
        self.inner.poll(lane, from, length)
    }

    fn pending(&mut self) -> Result<Option<(usize, usize)>> {
        self.release()?;
        let mut held = self.held.iter().enumerate();
        Ok(held.find_map(|(to, messages)| Some((to, messages.front()?.1.len()))))
    }

    /// Does not wait for messages, because that would hold back its own.
    fn pause(&mut self, wait: &Wait) -> Result<()> {
        thread::yield_now();
        if wait.lasted() < DEADLINE { Ok(()) } else { self.inner.pause(wait) }
    }
}

/// Counts the buffers that a rank holds.
pub struct Counted<'a> {
    inner: &'a mut ThreadTransport,
    held: i64,
}

impl<'a> Counted<'a> {
    pub fn new(inner: &'a mut ThreadTransport) -> Self {
        Counted { inner, held: 0 }
    }

    /// Buffers taken or received, minus those returned or sent.
    pub fn balance(&self) -> i64 {
        self.held
    }
}

impl Transport for Counted<'_> {
    forward_transport!(inner: rank world nodes deadline set_context pending pause);

    fn buffer(&mut self, words: usize) -> Vec<u64> {
        self.held += 1;
        self.inner.buffer(words)
    }

    fn recycle(&mut self, buffer: Vec<u64>) {
        self.held -= 1;
        self.inner.recycle(buffer);
    }

    fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()> {
        self.held -= 1;
        self.inner.send_on(lane, to, message)
    }

    fn poll(&mut self, lane: Lane, from: usize, length: Length) -> Result<Option<Vec<u64>>> {
        let message = self.inner.poll(lane, from, length)?;
        self.held += i64::from(message.is_some());
        Ok(message)
    }
}

/// A rank that dies when it receives more messages than allowed.
pub struct Mortal<'a> {
    inner: &'a mut ThreadTransport,
    receives_left: u64,
}

impl<'a> Mortal<'a> {
    pub fn new(inner: &'a mut ThreadTransport, receives_left: u64) -> Self {
        Mortal { inner, receives_left }
    }
}

impl Transport for Mortal<'_> {
    forward_transport!(inner: rank world nodes deadline set_context buffer recycle send_on pending pause);

    fn poll(&mut self, lane: Lane, from: usize, length: Length) -> Result<Option<Vec<u64>>> {
        let dead = Error::PeerGone { rank: self.rank(), peer: self.rank() };
        let message = self.inner.poll(lane, from, length)?;
        if message.is_some() {
            self.receives_left = self.receives_left.checked_sub(1).ok_or(dead)?;
        }
        Ok(message)
    }
}
