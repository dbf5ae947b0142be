//! Ranks as threads of one process: the transport of tests, and of a job that runs without a launcher.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Transport;
use super::pool::Pool;
use crate::{Error, Result};

/// One rank of a world of threads. Move it into the thread that is to be that rank; dropping it tells its peers that
/// the rank is gone.
#[derive(Debug)]
pub struct ThreadTransport {
    rank: usize,
    deadline: Duration,
    /// By receiving rank, and by sending rank.
    outgoing: Vec<Sender<Vec<u64>>>,
    incoming: Vec<Receiver<Vec<u64>>>,
    /// Shared, because buffers wander between ranks together with their messages.
    pool: Arc<Mutex<Pool>>,
}

/// The ranks of a world of `size` threads, in rank order. Each waits at most `deadline` for a message.
pub fn world(size: usize, deadline: Duration) -> Vec<ThreadTransport> {
    let pool = Arc::new(Mutex::new(Pool::default()));
    let mut ranks: Vec<ThreadTransport> = (0..size)
        .map(|rank| ThreadTransport {
            rank,
            deadline,
            outgoing: Vec::with_capacity(size),
            incoming: Vec::with_capacity(size),
            pool: Arc::clone(&pool),
        })
        .collect();
    for from in 0..size {
        for to in 0..size {
            let (sender, receiver) = channel();
            ranks[from].outgoing.push(sender);
            ranks[to].incoming.push(receiver);
        }
    }
    ranks
}

/// The only rank of a world of one.
pub fn solo(deadline: Duration) -> ThreadTransport {
    world(1, deadline).remove(0)
}

impl ThreadTransport {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        // A panic elsewhere cannot leave the pool half-changed.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for ThreadTransport {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.outgoing.len()
    }

    fn buffer(&mut self, words: usize) -> Vec<u64> {
        self.pool().take(words)
    }

    fn recycle(&mut self, buffer: Vec<u64>) {
        self.pool().give(buffer);
    }

    fn send(&mut self, to: usize, message: Vec<u64>) -> Result<()> {
        self.outgoing[to].send(message).map_err(|_| Error::PeerGone { rank: self.rank, peer: to })
    }

    fn recv(&mut self, from: usize, words: usize) -> Result<Vec<u64>> {
        let rank = self.rank;
        let message = self.incoming[from].recv_timeout(self.deadline).map_err(|why| match why {
            RecvTimeoutError::Timeout => Error::Timeout {
                rank,
                peer: from,
                what: format!("send {words} words"),
                seconds: self.deadline.as_secs_f64(),
            },
            RecvTimeoutError::Disconnected => Error::PeerGone { rank, peer: from },
        })?;
        if message.len() == words {
            return Ok(message);
        }
        let got_words = message.len();
        self.recycle(message);
        Err(Error::LengthMismatch { rank, peer: from, expected_words: words, got_words })
    }

    fn flush(&mut self) -> Result<()> {
        // A message is in its receiver's mailbox as soon as it is sent.
        Ok(())
    }
}
