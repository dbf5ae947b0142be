//! Ranks as threads of one process: the transport for tests and for a job that runs without a launcher.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::pool::Pool;
use super::{Lane, Length, Transport, Wait};
use crate::{Error, Result};

/// The length of a pause if nothing arrives: short compared with every deadline, long compared with the time
/// to wake up.
const NAP: Duration = Duration::from_millis(1);

/// One rank of a world of threads. Move it into the thread of that rank. Dropping it tells its peers that the
/// rank has ended.
#[derive(Debug)]
pub struct ThreadTransport {
    rank: usize,
    deadline: Duration,
    shared: Arc<Shared>,
    /// The number of arrivals in this rank's mailbox up to the end of its last pause.
    seen: u64,
}

/// The state that all ranks of a world share.
#[derive(Debug)]
struct Shared {
    nodes: Vec<usize>,
    /// By receiving rank.
    mailboxes: Vec<Mailbox>,
    /// Buffers move between ranks together with their messages.
    pool: Mutex<Pool>,
}

#[derive(Debug)]
struct Mailbox {
    mail: Mutex<Mail>,
    arrived: Condvar,
}

/// The messages for one rank.
#[derive(Debug)]
struct Mail {
    /// By sending rank, and by lane.
    messages: Vec<[VecDeque<Vec<u64>>; Lane::ALL.len()]>,
    /// By rank: whether it has ended.
    gone: Vec<bool>,
    /// The number of messages that have arrived and of ranks that have ended.
    arrivals: u64,
}

/// The ranks of a world of `size` threads, in rank order, on one node. Each rank waits at most `deadline` for
/// a message.
///
/// # Examples
/// ```
/// use std::{thread, time::Duration};
/// use ternflock_collectives::{Transport, control, transport::threads};
///
/// thread::scope(|scope| {
///     for mut rank in threads::world(4, Duration::from_secs(60)) {
///         scope.spawn(move || {
///             let record = [100 + rank.rank() as u64];
///             let records = control::all_gather(&mut rank, &record).unwrap();
///             assert_eq!(records, [100, 101, 102, 103]);
///         });
///     }
/// });
/// ```
pub fn world(size: usize, deadline: Duration) -> Vec<ThreadTransport> {
    world_on(&vec![0; size], deadline)
}

/// Like [`world`], with rank `r` on the node `nodes[r]`, numbered as in [`Transport::nodes`].
pub fn world_on(nodes: &[usize], deadline: Duration) -> Vec<ThreadTransport> {
    let size = nodes.len();
    let mail = || Mail {
        messages: (0..size).map(|_| Default::default()).collect(),
        gone: vec![false; size],
        arrivals: 0,
    };
    let mailbox = |_| Mailbox { mail: Mutex::new(mail()), arrived: Condvar::new() };
    let shared = Arc::new(Shared {
        nodes: nodes.to_vec(),
        mailboxes: (0..size).map(mailbox).collect(),
        pool: Mutex::default(),
    });
    (0..size).map(|rank| ThreadTransport { rank, deadline, shared: Arc::clone(&shared), seen: 0 }).collect()
}

/// The only rank of a world of one.
pub fn solo(deadline: Duration) -> ThreadTransport {
    world(1, deadline).remove(0)
}

/// A panic elsewhere leaves the mailbox and the pool consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mailbox {
    /// Applies `change` to the mailbox and wakes the rank if it pauses.
    fn deliver(&self, change: impl FnOnce(&mut Mail)) {
        let mut mail = lock(&self.mail);
        change(&mut mail);
        mail.arrivals += 1;
        self.arrived.notify_one();
    }
}

impl Transport for ThreadTransport {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.shared.mailboxes.len()
    }

    fn nodes(&self) -> &[usize] {
        &self.shared.nodes
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn set_context(&mut self, _: fmt::Arguments<'_>) {}

    fn buffer(&mut self, words: usize) -> Vec<u64> {
        lock(&self.shared.pool).take(words)
    }

    fn recycle(&mut self, buffer: Vec<u64>) {
        lock(&self.shared.pool).give(buffer);
    }

    fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()> {
        let rank = self.rank;
        if lock(&self.shared.mailboxes[rank].mail).gone[to] {
            return Err(Error::PeerGone { rank, peer: to });
        }
        self.shared.mailboxes[to].deliver(|mail| mail.messages[rank][lane as usize].push_back(message));
        Ok(())
    }

    fn poll(&mut self, lane: Lane, from: usize, length: Length) -> Result<Option<Vec<u64>>> {
        let rank = self.rank;
        let mut mail = lock(&self.shared.mailboxes[rank].mail);
        let (message, gone) = (mail.messages[from][lane as usize].pop_front(), mail.gone[from]);
        drop(mail);
        match message {
            Some(message) => match length.check(rank, from, message.len()) {
                Ok(()) => Ok(Some(message)),
                Err(error) => {
                    self.recycle(message);
                    Err(error)
                }
            },
            None if gone => Err(Error::PeerGone { rank, peer: from }),
            None => Ok(None),
        }
    }

    fn pending(&mut self) -> Result<Option<(usize, usize)>> {
        // A message is in its receiver's mailbox as soon as it is sent.
        Ok(None)
    }

    fn pause(&mut self, wait: &Wait) -> Result<()> {
        wait.check(self.rank, self.deadline)?;
        let mailbox = &self.shared.mailboxes[self.rank];
        let nap = NAP.min(self.deadline.saturating_sub(wait.lasted()));
        let nothing_new = |mail: &mut Mail| mail.arrivals == self.seen;
        let woken = mailbox.arrived.wait_timeout_while(lock(&mailbox.mail), nap, nothing_new);
        self.seen = woken.unwrap_or_else(PoisonError::into_inner).0.arrivals;
        Ok(())
    }
}

impl Drop for ThreadTransport {
    fn drop(&mut self) {
        self.shared.mailboxes.iter().for_each(|mailbox| mailbox.deliver(|mail| mail.gone[self.rank] = true));
    }
}
