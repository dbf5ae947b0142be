//! Ranks of an MPI job.
//!
//! Receives are matched as messages arrive, from any rank and whatever this rank is waiting for: a matched probe tells
//! the exact length, so each message lands in a buffer of its own size, one of the wrong length is an error rather
//! than a truncation, and transfers from several peers run side by side.

mod baseline;
mod closing;
mod launch;
mod nodes;
mod oversight;
mod transfer;
mod tuning;

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::thread;
use std::time::Duration;

use mpi::environment::{self, Universe};
use mpi::ffi;
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::AsRaw;

pub use baseline::Baseline;
pub use launch::{abort, abort_on_panic, library_version};
pub use mpi::environment::Threading as ThreadLevel;
pub use oversight::{Call, OnCall};

use closing::NoteCounts;
use oversight::Oversight;
use transfer::{Transfer, check};

use super::pool::Pool;
use super::{Lane, Transport, Wait};
use crate::{Error, Result};

/// This process as a rank of its MPI job. Only the thread that called [`MpiTransport::init`] can use it.
///
/// Dropping it ends MPI in this process, which on some libraries waits for the other ranks to do the same. A rank that
/// leaves early because of an error should call [`abort`] instead.
pub struct MpiTransport {
    rank: usize,
    nodes: Vec<usize>,
    deadline: Duration,
    pool: Pool,
    /// Messages on their way out, by lane, in order.
    sends: [VecDeque<Transfer>; Lane::ALL.len()],
    notes: NoteCounts,
    /// Messages that have been matched and are on their way in, by sending rank and by lane, in order.
    arrivals: Vec<[VecDeque<Transfer>; Lane::ALL.len()]>,
    communicator: ManuallyDrop<SimpleCommunicator>,
    universe: ManuallyDrop<Universe>,
    oversight: Oversight,
    thread_level: ThreadLevel,
    only_this_thread: PhantomData<*const ()>,
}

impl MpiTransport {
    /// Starts MPI in this process with `MPI_THREAD_FUNNELED` and joins the job's world. Every wait of the transport lasts
    /// at most `deadline`. Waits inside the library ([`Call`]) have no deadline. While this process is in such a call,
    /// `on_call` is told how long the call has lasted, and may end the process.
    ///
    /// # Errors
    /// [`Error::Init`] if MPI was started before, [`Error::Mpi`] if it fails, [`Error::Timeout`] if a rank does not say
    /// which node it is on.
    pub fn init(deadline: Duration, on_call: Option<OnCall>) -> Result<Self> {
        Self::init_with(ThreadLevel::Funneled, deadline, on_call)
    }

    /// The same with another level of thread support. The library may offer less, or more:
    /// [`MpiTransport::thread_level`] says what there is. Whatever it is, only one thread calls MPI.
    ///
    /// # Errors
    /// Those of [`MpiTransport::init`].
    pub fn init_with(level: ThreadLevel, deadline: Duration, on_call: Option<OnCall>) -> Result<Self> {
        if !environment::is_initialized() {
            // SAFETY: MPI starts where a program does. Threads that a library has started by then compute, or wait for work.
            unsafe { tuning::set_defaults() };
        }
        let oversight = Oversight::new(on_call);
        let enter = |call| {
            let refused =
                |error| Error::Init(format!("the thread that watches over it cannot be started: {error}"));
            oversight.enter(call).map_err(refused)
        };
        let inside = enter(Call::Init)?;
        let (universe, thread_level) = environment::initialize_with_threading(level).ok_or_else(|| {
            Error::Init("this process has started it before, and it can only start once".into())
        })?;
        drop(inside);
        launch::pause_after_start();
        // Messages on a communicator of their own cannot be mistaken for those of other code in this process.
        let inside = enter(Call::Duplicate)?;
        let communicator = universe.world().duplicate();
        drop(inside);
        // SAFETY: the communicator is valid and this call keeps no pointer.
        let code = unsafe { ffi::MPI_Comm_set_errhandler(communicator.as_raw(), ffi::RSMPI_ERRORS_RETURN) };
        let rank = communicator.rank() as usize;
        check(rank, "MPI_Comm_set_errhandler", code)?;
        let inside = enter(Call::Split)?;
        let (world, node) = (communicator.size() as usize, nodes::lowest_neighbour(&communicator));
        drop(inside);
        let mut transport = MpiTransport {
            rank,
            nodes: vec![0; world],
            deadline,
            pool: Pool::default(),
            sends: Default::default(),
            notes: NoteCounts::new(world),
            arrivals: (0..world).map(|_| Default::default()).collect(),
            communicator: ManuallyDrop::new(communicator),
            universe: ManuallyDrop::new(universe),
            oversight,
            thread_level,
            only_this_thread: PhantomData,
        };
        match nodes::of(&mut transport, node) {
            Ok(nodes) => transport.nodes = nodes,
            Err(error) => {
                // The end does not wait once more for the ranks that have not come.
                transport.deadline = Duration::ZERO;
                return Err(error);
            }
        }
        Ok(transport)
    }

    /// Changes how long a wait may last, and returns how long it could until now: a start-up phase may need more
    /// patience than a training step.
    pub fn set_deadline(&mut self, deadline: Duration) -> Duration {
        mem::replace(&mut self.deadline, deadline)
    }

    /// What the library says of threads: below [`ThreadLevel::Funneled`] a process should have no second one while it
    /// exchanges anything.
    pub fn thread_level(&self) -> ThreadLevel {
        self.thread_level
    }

    /// The host this rank runs on, as MPI calls it.
    pub fn processor_name(&self) -> String {
        environment::processor_name().unwrap_or_default()
    }

    /// Begins to receive every message that has arrived, and recycles the buffers of sends that have left.
    fn progress(&mut self) -> Result<()> {
        while let Some(arrival) = Transfer::arrival(&self.communicator, &mut self.pool)? {
            self.notes.received += u64::from(arrival.lane == Lane::Notes);
            self.arrivals[arrival.peer][arrival.lane as usize].push_back(arrival);
        }
        // Sends of a lane complete in order or nearly so. The first that has not is the last to be looked at: each look
        // costs as much as a probe, and there may be as many sends as segments.
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

    fn poll(&mut self, lane: Lane, from: usize, words: usize) -> Result<Option<Vec<u64>>> {
        self.progress()?;
        match self.take_arrival(lane, from)? {
            Some(message) if message.len() != words => {
                let got_words = message.len();
                self.recycle(message);
                Err(Error::LengthMismatch { rank: self.rank, peer: from, expected_words: words, got_words })
            }
            arrival => Ok(arrival),
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

/// Ends MPI if nothing is in flight. Otherwise MPI is left running, because ending it would wait for peers that will not
/// come. The process then exits without ending MPI, and the launcher ends the whole job. The same happens if the watching
/// thread cannot start.
impl Drop for MpiTransport {
    fn drop(&mut self) {
        if !thread::panicking() && self.close().unwrap_or(false) {
            let oversight = self.oversight.clone();
            let Ok(_inside) = oversight.enter(Call::Finalize) else { return };
            // SAFETY: neither field is used again, and the communicator goes before the MPI it belongs to.
            unsafe {
                ManuallyDrop::drop(&mut self.communicator);
                ManuallyDrop::drop(&mut self.universe);
            }
        }
    }
}
