//! How messages travel between ranks.
//!
//! Payloads are owned buffers of words. Ownership makes asynchronous sends sound and avoids copies: a buffer given to
//! [`Transport::send`] belongs to the transport until the message has left, and a buffer that [`Transport::recv`] returns
//! can be sent on as it is.
//!
//! Two ranks exchange a message:
//!
//! ```
//! use std::time::Duration;
//! use ternflock_collectives::transport::{Transport, threads};
//!
//! fn swap(transport: &mut dyn Transport) -> ternflock_collectives::Result<u64> {
//!     let peer = 1 - transport.rank();
//!     let mut message = transport.buffer(1);
//!     message[0] = 10 + transport.rank() as u64;
//!     transport.send(peer, message)?;
//!     let received = transport.recv(peer, 1)?;
//!     let word = received[0];
//!     transport.recycle(received);
//!     transport.flush()?;
//!     Ok(word)
//! }
//!
//! let mut ranks = threads::world(2, Duration::from_secs(60));
//! let (mut one, mut zero) = (ranks.pop().unwrap(), ranks.pop().unwrap());
//! let other = std::thread::spawn(move || swap(&mut one));
//! assert_eq!(swap(&mut zero), Ok(11));
//! assert_eq!(other.join().unwrap(), Ok(10));
//! ```
//!
//! A transport around another one forwards to it with [`forward_transport`](crate::forward_transport) and replaces only
//! what it changes. [`meter::Metered`] and [`watch::Watched`] are examples.

mod forward;
mod lane;
mod length;
pub mod meter;
#[cfg(feature = "mpi")]
pub mod mpi;
mod pack;
mod pool;
pub mod threads;
mod wait;
pub mod watch;

use std::fmt;
use std::time::{Duration, Instant};

pub use lane::Lane;
pub use length::Length;
pub use pack::packed;
pub(crate) use pool::Pool;
pub use wait::{Act, Wait};

use crate::Result;

/// Ordered, reliable messages of words between the ranks of one world.
///
/// Messages of one lane from one rank to another arrive in the order they were sent. Peers are ranks below
/// [`Transport::world`]; a transport may panic on others.
///
/// Of the required methods only [`Transport::pause`] waits. The provided methods are loops over the required ones, which no
/// transport replaces. So every wait passes through `pause`, and ends at the transport's deadline.
pub trait Transport {
    /// This process's rank, `0..world()`.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn world(&self) -> usize;

    /// The node that each rank runs on, by rank: ranks of one node share memory. Nodes are numbered from 0,
    /// in the order of their first appearance.
    fn nodes(&self) -> &[usize];

    /// The maximum length of a wait.
    fn deadline(&self) -> Duration;

    /// Describes the messages that follow, as in "step 12, tensor `conv2.weight`", for reports that one of them is late
    /// ([`watch`]).
    fn set_context(&mut self, context: fmt::Arguments<'_>);

    /// A buffer of `words` words from a recycled pool. Its contents are unspecified.
    fn buffer(&mut self, words: usize) -> Vec<u64>;

    /// Returns a buffer that is no longer needed to the pool.
    fn recycle(&mut self, buffer: Vec<u64>);

    /// Starts sending `message` to rank `to` and returns. The transport recycles the buffer when the message has left.
    ///
    /// # Errors
    /// [`Error::PeerGone`](crate::Error::PeerGone) if the peer is known to have ended, [`Error::Mpi`](crate::Error::Mpi) if
    /// the library refuses the message.
    fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()>;

    /// The description that [`Transport::set_context`] has set last, if this transport keeps it; otherwise empty.
    fn context(&self) -> &str {
        ""
    }

    /// The next message of rank `from` in `lane`, which must have this `length`, if it has arrived. Also makes progress on
    /// all other messages.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`](crate::Error::LengthMismatch) if the message has another length: it has been consumed.
    fn poll(&mut self, lane: Lane, from: usize, length: Length) -> Result<Option<Vec<u64>>>;

    /// A send of this rank that has not left, as the receiving rank and the length in words. Sends in [`Lane::Notes`] do
    /// not count, because nobody waits for them. Makes progress on all messages.
    ///
    /// # Errors
    /// [`Error::Mpi`](crate::Error::Mpi) if the library fails.
    fn pending(&mut self) -> Result<Option<(usize, usize)>>;

    /// Pauses between two polls of a wait: it yields the core, briefly at first and for longer later.
    ///
    /// # Errors
    /// [`Error::Timeout`](crate::Error::Timeout) when `wait` has reached the deadline. Nothing is lost, and the same wait
    /// may begin again.
    fn pause(&mut self, wait: &Wait) -> Result<()>;

    /// Reports that this rank now writes `words` words of a sum, to transports that keep a clock of their own
    /// ([`simulated`](crate::simulated)). Others ignore it.
    fn adds(&mut self, _words: usize) {}

    /// [`Transport::send_on`] the lane [`Lane::Bulk`].
    ///
    /// # Errors
    /// Those of [`Transport::send_on`].
    fn send(&mut self, to: usize, message: Vec<u64>) -> Result<()> {
        self.send_on(Lane::Bulk, to, message)
    }

    /// [`Transport::recv_on`] the lane [`Lane::Bulk`].
    ///
    /// # Errors
    /// Those of [`Transport::recv_on`].
    fn recv(&mut self, from: usize, words: usize) -> Result<Vec<u64>> {
        self.recv_on(Lane::Bulk, from, words)
    }

    /// [`Transport::await_on`] for a message of exactly `words` words.
    ///
    /// # Errors
    /// Those of [`Transport::await_on`].
    fn recv_on(&mut self, lane: Lane, from: usize, words: usize) -> Result<Vec<u64>> {
        self.await_on(lane, from, Length::Exactly(words))
    }

    /// [`Transport::await_on`] the lane [`Lane::Bulk`] for a message of at most `words` words.
    ///
    /// # Errors
    /// Those of [`Transport::await_on`].
    fn recv_at_most(&mut self, from: usize, words: usize) -> Result<Vec<u64>> {
        self.await_on(Lane::Bulk, from, Length::AtMost(words))
    }

    /// Waits for the next message of rank `from` in `lane`, which must have this `length`.
    ///
    /// # Errors
    /// Those of [`Transport::poll`] and [`Transport::pause`].
    fn await_on(&mut self, lane: Lane, from: usize, length: Length) -> Result<Vec<u64>> {
        let wait = Wait::begin(from, Act::Send(lane, length));
        loop {
            if let Some(message) = self.poll(lane, from, length)? {
                return Ok(message);
            }
            self.pause(&wait)?;
        }
    }

    /// Waits until all sends of this rank have left. A rank that starts to compute without this may keep its
    /// peers waiting, because a large message may make progress only while its sender is inside the
    /// transport.
    ///
    /// # Errors
    /// Those of [`Transport::pending`] and [`Transport::pause`].
    fn flush(&mut self) -> Result<()> {
        let since = Instant::now();
        while let Some((peer, words)) = self.pending()? {
            self.pause(&Wait { peer, act: Act::Take(words), since, naps: false })?;
        }
        Ok(())
    }
}

macro_rules! forward_pointer {
    ($($pointer:ty),*) => {$(
        impl<T: Transport + ?Sized> Transport for $pointer {
            crate::forward_transport!(
                *: rank world nodes deadline set_context context buffer recycle send_on poll pending pause adds
            );
        }
    )*};
}

forward_pointer!(Box<T>, &mut T);
