//! A meter for the traffic of a transport.

use std::iter::Sum;
use std::ops::{Add, Sub};

use super::{Lane, Length, Transport};
use crate::Result;

/// Messages and bytes of one rank. Bytes are those of the payload; headers of a transport are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages sent.
    pub messages_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
}

impl Traffic {
    /// The traffic of sending one message of `words` words.
    pub fn sent(words: usize) -> Self {
        Traffic { messages_sent: 1, bytes_sent: bytes(words), ..Traffic::default() }
    }

    /// The traffic of receiving one message of `words` words.
    pub fn received(words: usize) -> Self {
        Traffic { messages_received: 1, bytes_received: bytes(words), ..Traffic::default() }
    }
}

fn bytes(words: usize) -> u64 {
    size_of::<u64>() as u64 * words as u64
}

impl Add for Traffic {
    type Output = Traffic;

    fn add(self, other: Traffic) -> Traffic {
        Traffic {
            messages_sent: self.messages_sent + other.messages_sent,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            messages_received: self.messages_received + other.messages_received,
            bytes_received: self.bytes_received + other.bytes_received,
        }
    }
}

/// The traffic between two readings of a meter: the later one minus the earlier one.
impl Sub for Traffic {
    type Output = Traffic;

    fn sub(self, earlier: Traffic) -> Traffic {
        Traffic {
            messages_sent: self.messages_sent - earlier.messages_sent,
            bytes_sent: self.bytes_sent - earlier.bytes_sent,
            messages_received: self.messages_received - earlier.messages_received,
            bytes_received: self.bytes_received - earlier.bytes_received,
        }
    }
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Traffic>>(parts: I) -> Traffic {
        parts.fold(Traffic::default(), Traffic::add)
    }
}

/// A transport that counts the messages and bytes that cross it, except those in [`Lane::Notes`].
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use ternflock_collectives::transport::meter::{Metered, Traffic};
/// use ternflock_collectives::transport::{Transport, threads};
///
/// let mut ranks = threads::world(2, Duration::from_secs(60));
/// let mut meter = Metered::new(ranks.remove(0));
/// meter.send(1, vec![1, 2, 3])?;
/// assert_eq!(meter.reading(), Traffic::sent(3));
/// assert_eq!(meter.reading().bytes_sent, 24);
/// # Ok::<(), ternflock_collectives::Error>(())
/// ```
#[derive(Debug)]
pub struct Metered<T> {
    inner: T,
    traffic: Traffic,
}

impl<T: Transport> Metered<T> {
    /// `inner` with a meter at zero.
    pub fn new(inner: T) -> Self {
        Metered { inner, traffic: Traffic::default() }
    }

    /// The transport whose messages are counted.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// The transport beneath, to call its own methods. They are not counted.
    pub fn inner_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The traffic counted so far. The difference of two readings is the traffic between them.
    pub fn reading(&self) -> Traffic {
        self.traffic
    }

    /// Counts `traffic` on `lane`. Notes do not belong to any algorithm, and their number depends on delays.
    /// If they were counted, the meter would not match the formulas.
    fn count(&mut self, lane: Lane, traffic: Traffic) {
        if lane != Lane::Notes {
            self.traffic = self.traffic + traffic;
        }
    }
}

impl<T: Transport> Transport for Metered<T> {
    crate::forward_transport!(inner: rank world nodes deadline set_context context buffer recycle pending pause);

    fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()> {
        let words = message.len();
        self.inner.send_on(lane, to, message)?;
        self.count(lane, Traffic::sent(words));
        Ok(())
    }

    fn poll(&mut self, lane: Lane, from: usize, length: Length) -> Result<Option<Vec<u64>>> {
        let message = self.inner.poll(lane, from, length)?;
        if let Some(message) = &message {
            self.count(lane, Traffic::received(message.len()));
        }
        Ok(message)
    }
}
