//! How messages travel between ranks.
//!
//! Payloads are owned buffers of words. Ownership is what makes asynchronous sends sound and free of copies: a buffer
//! given to [`Transport::send`] belongs to the transport until it has left, a buffer that [`Transport::recv`] returns
//! can be sent on as it is.

mod forward;
mod lane;
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
pub use pack::packed;
pub(crate) use pool::Pool;
pub use wait::{Act, Wait};

use crate::Result;

/// Ordered, reliable messages of words between the ranks of one world.
///
/// Messages of one lane from one rank to another arrive in the order they were sent. Peers are ranks below
/// [`Transport::world`]; a transport may panic on others.
///
/// The required methods never wait, but for [`Transport::pause`]; the provided ones are loops over them, which no
/// transport replaces. So every wait passes through `pause`, and ends at the transport's deadline.
pub trait Transport {
    /// This process's rank, `0..world()`.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn world(&self) -> usize;

    /// The node that each rank runs on, by rank: ranks of one node share memory. Nodes are numbered in the order in
    /// which ranks first name them, from 0.
    fn nodes(&self) -> &[usize];

    /// How long a wait may last.
    fn deadline(&self) -> Duration;

    /// Says what the messages that follow are about, as in "step 12, tensor `conv2.weight`", for whoever reports that
    /// one of them is late ([`watch`]).
    fn set_context(&mut self, context: fmt::Arguments<'_>);

    /// A buffer of `words` words from a recycled pool. Its contents are unspecified.
    fn buffer(&mut self, words: usize) -> Vec<u64>;

    /// Returns a buffer that is no longer needed to the pool.
    fn recycle(&mut self, buffer: Vec<u64>);

    /// Starts sending `message` to rank `to` and returns. The transport recycles the buffer when it has left.
    ///
    /// # Errors
    /// [`Error::PeerGone`](crate::Error::PeerGone) if the peer is known to have ended, [`Error::Mpi`](crate::Error::Mpi) if
    /// the library refuses the message.
    fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()>;

    /// The next message of rank `from` in `lane`, which must have `words` words, if it has come. Moves all other
    /// messages along.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`](crate::Error::LengthMismatch) if the message has another length: it has been consumed.
    fn poll(&mut self, lane: Lane, from: usize, words: usize) -> Result<Option<Vec<u64>>>;

    /// A send of this rank that has not left, as the receiving rank and the length in words; not in [`Lane::Notes`],
    /// which nobody waits for. Moves all messages along.
    fn pending(&mut self) -> Result<Option<(usize, usize)>>;

    /// What a wait does between two polls: gives the core away, first to whoever wants it and later for a while.
    ///
    /// # Errors
    /// [`Error::Timeout`](crate::Error::Timeout) when `wait` has reached the deadline. Nothing is lost, the same wait
    /// may be begun again.
    fn pause(&mut self, wait: &Wait) -> Result<()>;

    /// Says that this rank now writes `words` words of a sum: for transports that keep a clock of their own
    /// ([`simulated`](crate::simulated)). Others need not hear of it.
    fn adds(&mut self, _words: usize) {}

    /// [`Transport::send_on`] the lane [`Lane::Bulk`].
    fn send(&mut self, to: usize, message: Vec<u64>) -> Result<()> {
        self.send_on(Lane::Bulk, to, message)
    }

    /// [`Transport::recv_on`] the lane [`Lane::Bulk`].
    fn recv(&mut self, from: usize, words: usize) -> Result<Vec<u64>> {
        self.recv_on(Lane::Bulk, from, words)
    }

    /// Waits for the next message of rank `from` in `lane`, which must have `words` words.
    ///
    /// # Errors
    /// Those of [`Transport::poll`] and [`Transport::pause`].
    fn recv_on(&mut self, lane: Lane, from: usize, words: usize) -> Result<Vec<u64>> {
        let wait = Wait::begin(from, Act::Send(lane, words));
        loop {
            if let Some(message) = self.poll(lane, from, words)? {
                return Ok(message);
            }
            self.pause(&wait)?;
        }
    }

    /// Waits until every own send has left. A rank that goes off to compute without this may keep its peers waiting,
    /// because a large message may move only while its sender is inside the transport.
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
                *: rank world nodes deadline set_context buffer recycle send_on poll pending pause adds
            );
        }
    )*};
}

forward_pointer!(Box<T>, &mut T);
