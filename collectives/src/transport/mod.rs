//! How messages travel between ranks.
//!
//! Payloads are owned buffers of words. Ownership is what makes asynchronous sends sound and free of copies: a buffer
//! given to [`Transport::send`] belongs to the transport until it has left, a buffer that [`Transport::recv`] returns
//! can be sent on as it is.

pub mod meter;
pub mod mpi;
mod pool;
pub mod threads;

use crate::Result;

/// Ordered, reliable messages of words between the ranks of one world.
///
/// Messages from one rank to another arrive in the order they were sent. Every wait ends at the transport's deadline.
/// Peers are ranks below [`Transport::world`]; a transport may panic on others.
pub trait Transport {
    /// This process's rank, `0..world()`.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn world(&self) -> usize;

    /// A buffer of `words` words from a recycled pool. Its contents are unspecified.
    fn buffer(&mut self, words: usize) -> Vec<u64>;

    /// Returns a buffer that is no longer needed to the pool.
    fn recycle(&mut self, buffer: Vec<u64>);

    /// Starts sending `message` to rank `to` and returns. The transport recycles the buffer when it has left.
    fn send(&mut self, to: usize, message: Vec<u64>) -> Result<()>;

    /// Waits for the next message of rank `from`, which must have `words` words.
    ///
    /// # Errors
    /// [`Error::Timeout`](crate::Error::Timeout) at the deadline: nothing is lost, the same call may be made again.
    /// [`Error::LengthMismatch`](crate::Error::LengthMismatch) if the message has another length: it has been consumed.
    fn recv(&mut self, from: usize, words: usize) -> Result<Vec<u64>>;

    /// Waits until every own send has left. A rank that goes off to compute without this may keep its peers waiting,
    /// because a large message may move only while its sender is inside the transport.
    fn flush(&mut self) -> Result<()>;
}

macro_rules! forward {
    ($($holder:ty),*) => {$(
        impl<T: Transport + ?Sized> Transport for $holder {
            fn rank(&self) -> usize {
                (**self).rank()
            }

            fn world(&self) -> usize {
                (**self).world()
            }

            fn buffer(&mut self, words: usize) -> Vec<u64> {
                (**self).buffer(words)
            }

            fn recycle(&mut self, buffer: Vec<u64>) {
                (**self).recycle(buffer);
            }

            fn send(&mut self, to: usize, message: Vec<u64>) -> Result<()> {
                (**self).send(to, message)
            }

            fn recv(&mut self, from: usize, words: usize) -> Result<Vec<u64>> {
                (**self).recv(from, words)
            }

            fn flush(&mut self) -> Result<()> {
                (**self).flush()
            }
        }
    )*};
}

forward!(Box<T>, &mut T);
