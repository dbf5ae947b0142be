//! The end: nothing may be on its way when MPI ends, and notes are sent without anybody having to read them.

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

/// Notes of this rank.
pub(super) struct NoteCounts {
    /// By receiving rank.
    pub sent: Vec<u64>,
    pub received: u64,
}

impl NoteCounts {
    /// None yet, in a world of `world` ranks.
    pub fn new(world: usize) -> Self {
        NoteCounts { sent: vec![0; world], received: 0 }
    }
}

impl MpiTransport {
    /// Waits for all that is on its way from this rank, and for the notes to it. False if something has arrived that
    /// was never asked for, or a rank does not come within the deadline: MPI cannot end well then.
    pub(super) fn close(&mut self) -> Result<bool> {
        self.flush()?;
        let [bulk, ahead] = [Lane::Bulk, Lane::Ahead].map(|lane| lane as usize);
        if !self.arrivals.iter().all(|lanes| lanes[bulk].is_empty() && lanes[ahead].is_empty()) {
            return Ok(false);
        }
        // The rank that this waits for is not known, and nobody hears of it.
        let wait = Wait::begin(0, Act::Take(0));
        let mut due = NotesDue::ask(&self.communicator, self.rank, mem::take(&mut self.notes.sent))?;
        while due.answer()?.is_none_or(|due| self.notes.received < due) || !self.is_empty()? {
            self.progress()?;
            self.pause(&wait)?;
        }
        Ok(true)
    }

    /// Reads the notes that are here; whether nothing is on its way.
    fn is_empty(&mut self) -> Result<bool> {
        for from in 0..self.world() {
            while let Some(note) = self.take_arrival(Lane::Notes, from)? {
                self.recycle(note);
            }
        }
        Ok(self.sends.iter().all(VecDeque::is_empty)
            && self.arrivals.iter().flatten().all(VecDeque::is_empty))
    }
}

/// The number of notes that all ranks together have sent to this one, once all of them have said so.
struct NotesDue {
    rank: usize,
    request: ffi::MPI_Request,
    /// On the heap, where MPI may touch them until the request is complete.
    sent: Vec<u64>,
    due: Box<u64>,
    complete: bool,
}

impl NotesDue {
    fn ask(communicator: &SimpleCommunicator, rank: usize, sent: Vec<u64>) -> Result<Self> {
        // SAFETY: reads a constant of the MPI library.
        let request = unsafe { ffi::RSMPI_REQUEST_NULL };
        let mut asked = NotesDue { rank, request, sent, due: Box::new(0), complete: false };
        // SAFETY: `sent` holds a number for each rank and `due` room for one; both stay where they are until the
        // request is complete or for ever.
        let code = unsafe {
            ffi::MPI_Ireduce_scatter_block(
                asked.sent.as_ptr().cast(),
                (&raw mut *asked.due).cast(),
                1,
                ffi::RSMPI_UINT64_T,
                ffi::RSMPI_SUM,
                communicator.as_raw(),
                &mut asked.request,
            )
        };
        check(rank, "MPI_Ireduce_scatter_block", code)?;
        Ok(asked)
    }

    fn answer(&mut self) -> Result<Option<u64>> {
        if !self.complete {
            let mut flag: c_int = 0;
            // SAFETY: the request is the one that `ask` has started and has not completed yet.
            let code = unsafe { ffi::MPI_Test(&mut self.request, &mut flag, ffi::RSMPI_STATUS_IGNORE) };
            check(self.rank, "MPI_Test", code)?;
            self.complete = flag != 0;
        }
        // Until then MPI may be writing to it.
        if self.complete { Ok(Some(*self.due)) } else { Ok(None) }
    }
}

/// What an unfinished request may touch is leaked on purpose.
impl Drop for NotesDue {
    fn drop(&mut self) {
        if !self.complete {
            mem::forget(mem::take(&mut self.sent));
            mem::forget(mem::take(&mut self.due));
        }
    }
}
