//! Ranks of an MPI job.
//!
//! [`MpiTransport::init`] starts MPI and joins `MPI_COMM_WORLD`. [`MpiTransport::over`] joins the ranks of a communicator
//! that a program already has, for example a sub-communicator, or any communicator after another library has started MPI.
//!
//! Receives are matched as messages arrive, from any rank and independently of the message that this rank
//! waits for. A matched probe gives the exact length. So each message is received into a buffer of its own
//! size, a wrong length is an error rather than a truncation, and transfers from several peers run in
//! parallel.

mod baseline;
mod closing;
mod launch;
mod nodes;
mod oversight;
mod start;
mod transfer;
mod tuning;

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::thread;
use std::time::Duration;

use mpi::environment::{self, Universe};
use mpi::topology::SimpleCommunicator;

/// The MPI bindings that this crate is built with, for programs that hand it a communicator ([`MpiTransport::over`]).
pub use ::mpi as rsmpi;
pub use baseline::Baseline;
pub use launch::{abort, abort_on_panic, library_version};
pub use mpi::environment::Threading as ThreadLevel;
pub use oversight::{Call, OnCall};

use closing::NoteCounts;
use oversight::Oversight;
use transfer::Transfer;

use super::pool::Pool;
use super::{Lane, Length, Transport, Wait};
use crate::Result;

/// This process as a rank of an MPI communicator. Only the thread that created the transport can use it.
///
/// Dropping a transport that has started MPI ends MPI in this process, which on some libraries waits for the other ranks
/// to do the same. Dropping a transport over an existing communicator leaves MPI running. A rank that leaves early
/// because of an error should call [`abort`] instead.
pub struct MpiTransport {
    rank: usize,
    nodes: Vec<usize>,
    deadline: Duration,
    pool: Pool,
    /// Messages being sent, by lane, in order.
    sends: [VecDeque<Transfer>; Lane::ALL.len()],
    notes: NoteCounts,
    /// Messages that have been matched and are being received, by sending rank and by lane, in order.
    arrivals: Vec<[VecDeque<Transfer>; Lane::ALL.len()]>,
    communicator: ManuallyDrop<SimpleCommunicator>,
    /// `None` if other code has started MPI and will end it.
    universe: ManuallyDrop<Option<Universe>>,
    oversight: Oversight,
    thread_level: ThreadLevel,
    only_this_thread: PhantomData<*const ()>,
}

impl MpiTransport {
    /// Changes the maximum length of a wait and returns the previous one. A start-up phase may need more time
    /// than a training step.
    pub fn set_deadline(&mut self, deadline: Duration) -> Duration {
        mem::replace(&mut self.deadline, deadline)
    }

    /// The thread support of the library. Below [`ThreadLevel::Funneled`], a process should not have a second
    /// thread while it communicates.
    pub fn thread_level(&self) -> ThreadLevel {
        self.thread_level
    }

    /// The name of the host that this rank runs on, according to MPI.
    pub fn processor_name(&self) -> String {
        environment::processor_name().unwrap_or_default()
    }

    /// Starts to receive all messages that have arrived, and recycles the buffers of sends that have left.
    fn progress(&mut self) -> Result<()> {
        while let Some(arrival) = Transfer::arrival(&self.communicator, &mut self.pool)? {
            self.notes.received += u64::from(arrival.lane == Lane::Notes);
            self.arrivals[arrival.peer][arrival.lane as usize].push_back(arrival);
        }
        // The sends of a lane complete in order, or nearly so. The first incomplete send ends the loop: each
        // test costs as much as a probe, and there may be as many sends as segments.
        for lane in &mut self.sends {
            while let Some(first) = lane.front_mut() {
                if !first.test()? {
                    break;
                }
                self.pool.give(lane.pop_front().map_or_else(Vec::new, Transfer::into_buffer));
            }
        }
        Ok(())
    }

    /// The first message of rank `from` in `lane`, if it is complete.
    fn take_arrival(&mut self, lane: Lane, from: usize) -> Result<Option<Vec<u64>>> {
        let arrivals = &mut self.arrivals[from][lane as usize];
        let complete = match arrivals.front_mut() {
            Some(first) => first.test()?,
            None => false,
        };
        Ok(if complete { arrivals.pop_front().map(Transfer::into_buffer) } else { None })
    }
}

impl Transport for MpiTransport {
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
        self.deadline
    }

    fn set_context(&mut self, _: fmt::Arguments<'_>) {}

    fn buffer(&mut self, words: usize) -> Vec<u64> {
        self.pool.take(words)
    }

    fn recycle(&mut self, buffer: Vec<u64>) {
        self.pool.give(buffer);
    }

    fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()> {
        self.sends[lane as usize].push_back(Transfer::send(&self.communicator, lane, to, message)?);
        self.notes.sent[to] += u64::from(lane == Lane::Notes);
        Ok(())
    }

    fn poll(&mut self, lane: Lane, from: usize, length: Length) -> Result<Option<Vec<u64>>> {
        self.progress()?;
        let Some(message) = self.take_arrival(lane, from)? else { return Ok(None) };
        match length.check(self.rank, from, message.len()) {
            Ok(()) => Ok(Some(message)),
            Err(error) => {
                self.recycle(message);
                Err(error)
            }
        }
    }

    fn pending(&mut self) -> Result<Option<(usize, usize)>> {
        self.progress()?;
        let awaited = [Lane::Bulk, Lane::Ahead].map(|lane| self.sends[lane as usize].front());
        Ok(awaited.into_iter().flatten().next().map(|send| (send.peer, send.words())))
    }

    fn pause(&mut self, wait: &Wait) -> Result<()> {
        wait.check(self.rank, self.deadline)?;
        wait.yield_or_nap();
        Ok(())
    }
}

/// Frees the communicator if nothing is in flight, and ends MPI if this transport has started it. Otherwise
/// both are left as they are, because ending them would wait for peers that will not arrive. The process then
/// exits without ending MPI, and the launcher ends the whole job. The same happens if the watching thread
/// cannot start.
impl Drop for MpiTransport {
    fn drop(&mut self) {
        // After MPI has ended, no function of it may be called.
        if thread::panicking() || environment::is_finalized() || !self.close().unwrap_or(false) {
            return;
        }
        let oversight = self.oversight.clone();
        let call = if self.universe.is_some() { Call::Finalize } else { Call::Free };
        let Ok(_inside) = oversight.enter(call) else { return };
        // SAFETY: neither field is used again, and the communicator is freed before MPI ends.
        unsafe {
            ManuallyDrop::drop(&mut self.communicator);
            ManuallyDrop::drop(&mut self.universe);
        }
    }
}
