//! Closing the transport. No message may be in transit when MPI ends, and notes do not have to be read.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::mem;

use mpi::ffi;
use mpi::topology::SimpleCommunicator;
use mpi::traits::AsRaw;

use super::super::{Act, Lane, Transport, Wait};
use super::MpiTransport;
use super::transfer::check;
use crate::Result;

/// The last message from one rank to another: the number of notes that it has sent to it, and whether an
/// unexpected message has arrived.
type Last = [u64; 2];

/// The number of notes that this rank has sent.
pub(super) struct NoteCounts {
    /// By receiving rank.
    pub sent: Vec<u64>,
    pub received: u64,
}

impl NoteCounts {
    /// No notes yet, in a world of `world` ranks.
    pub fn new(world: usize) -> Self {
        NoteCounts { sent: vec![0; world], received: 0 }
    }
}

impl MpiTransport {
    /// Waits for all messages in transit from this rank and for the notes to it. Returns false if an
    /// unexpected message has arrived on any rank: MPI cannot end cleanly then.
    ///
    /// # Errors
    /// [`Error::Timeout`](crate::Error::Timeout) if not all ranks arrive within the deadline.
    pub(super) fn close(&mut self) -> Result<bool> {
        // The rank that this wait is for is unknown, and it is not reported.
        let wait = Wait::begin(0, Act::Take(0));
        self.flush()?;
        // A rank that already knows that MPI cannot end cleanly tells the others, because they would wait for
        // it.
        let strays = u64::from(self.has_strays());
        let last = self.notes.sent.iter().map(|notes| [*notes, strays]).collect();
        let mut due = LastDue::ask(&self.communicator, self.rank, last)?;
        loop {
            match due.answer()? {
                Some([_, strays]) if strays > 0 => return Ok(false),
                Some([notes, _]) if self.notes.received >= notes && self.is_empty()? => {
                    return Ok(!self.has_strays());
                }
                _ => {}
            }
            self.progress()?;
            self.pause(&wait)?;
        }
    }

    /// Whether an unexpected message other than a note has arrived.
    fn has_strays(&self) -> bool {
        let [bulk, ahead] = [Lane::Bulk, Lane::Ahead].map(|lane| lane as usize);
        self.arrivals.iter().any(|lanes| !lanes[bulk].is_empty() || !lanes[ahead].is_empty())
    }

    /// Reads the notes that have arrived. Returns whether no send and no note is in transit.
    fn is_empty(&mut self) -> Result<bool> {
        for from in 0..self.world() {
            while let Some(note) = self.take_arrival(Lane::Notes, from)? {
                self.recycle(note);
            }
        }
        Ok(self.sends.iter().all(VecDeque::is_empty)
            && self.arrivals.iter().all(|lanes| lanes[Lane::Notes as usize].is_empty()))
    }
}

/// The sum of the last messages of all ranks to this one, once all have arrived.
struct LastDue {
    rank: usize,
    request: ffi::MPI_Request,
    /// On the heap, where MPI may touch them until the request is complete.
    said: Vec<Last>,
    due: Box<Last>,
    complete: bool,
}

impl LastDue {
    fn ask(communicator: &SimpleCommunicator, rank: usize, said: Vec<Last>) -> Result<Self> {
        // SAFETY: reads a constant of the MPI library.
        let request = unsafe { ffi::RSMPI_REQUEST_NULL };
        let mut asked = LastDue { rank, request, said, due: Box::default(), complete: false };
        // SAFETY: `said` holds one `Last` for each rank and `due` room for one; both stay in place until the
        // request is complete, or are leaked.
        let code = unsafe {
            ffi::MPI_Ireduce_scatter_block(
                asked.said.as_ptr().cast(),
                (&raw mut *asked.due).cast(),
                const { mem::size_of::<Last>() / mem::size_of::<u64>() } as c_int,
                ffi::RSMPI_UINT64_T,
                ffi::RSMPI_SUM,
                communicator.as_raw(),
                &mut asked.request,
            )
        };
        check(rank, "MPI_Ireduce_scatter_block", code)?;
        Ok(asked)
    }

    fn answer(&mut self) -> Result<Option<Last>> {
        if !self.complete {
            let mut flag: c_int = 0;
            // SAFETY: the request was started by `ask` and is not complete yet.
            let code = unsafe { ffi::MPI_Test(&mut self.request, &mut flag, ffi::RSMPI_STATUS_IGNORE) };
            check(self.rank, "MPI_Test", code)?;
            self.complete = flag != 0;
        }
        // Until then MPI may be writing to it.
        if self.complete { Ok(Some(*self.due)) } else { Ok(None) }
    }
}

/// The memory of an unfinished request is leaked on purpose.
impl Drop for LastDue {
    fn drop(&mut self) {
        if !self.complete {
            mem::forget(mem::take(&mut self.said));
            mem::forget(mem::take(&mut self.due));
        }
    }
}
