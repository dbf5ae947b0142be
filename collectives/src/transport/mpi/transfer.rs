//! A message in transit: an MPI request together with the buffer that MPI reads or writes.

use std::ffi::{c_char, c_int};
use std::mem::{self, MaybeUninit};

use mpi::ffi;
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::AsRaw;

use super::super::Lane;
use super::super::pool::Pool;
use crate::{Error, Result};

const SUCCESS: c_int = ffi::MPI_SUCCESS as c_int;

/// An unfinished send or receive. The words of the buffer stay at the same place on the heap when the
/// transfer is moved.
pub(super) struct Transfer {
    /// The rank at the other end.
    pub peer: usize,
    /// Its number is the tag of the message.
    pub lane: Lane,
    rank: usize,
    request: ffi::MPI_Request,
    buffer: Vec<u64>,
    complete: bool,
}

impl Transfer {
    /// Starts sending `buffer` to rank `to`.
    pub fn send(communicator: &SimpleCommunicator, lane: Lane, to: usize, buffer: Vec<u64>) -> Result<Self> {
        let rank = communicator.rank() as usize;
        let count = c_int::try_from(buffer.len()).map_err(|_| Error::Mpi {
            rank,
            call: "MPI_Isend",
            text: format!(
                "{} words for rank {to} are more than the {} of one message",
                buffer.len(),
                c_int::MAX
            ),
        })?;
        let mut transfer = Transfer::idle(rank, to, lane, buffer);
        // SAFETY: the buffer holds `count` initialised words and outlives the request, as `Transfer` frees it only
        // after `test` has seen the request complete; the communicator is valid.
        let code = unsafe {
            ffi::MPI_Isend(
                transfer.buffer.as_ptr().cast(),
                count,
                ffi::RSMPI_UINT64_T,
                to as c_int,
                lane as c_int,
                communicator.as_raw(),
                &mut transfer.request,
            )
        };
        check(rank, "MPI_Isend", code)?;
        Ok(transfer)
    }

    /// Starts receiving the next message that has arrived from any rank, into a buffer with its length.
    pub fn arrival(communicator: &SimpleCommunicator, pool: &mut Pool) -> Result<Option<Self>> {
        let rank = communicator.rank() as usize;
        let (mut found, mut words) = (0, 0);
        // SAFETY: both are plain C values, which MPI writes when it has found a message and which are read only then.
        let mut message = unsafe { ffi::RSMPI_MESSAGE_NULL };
        let mut status = MaybeUninit::<ffi::MPI_Status>::uninit();
        // SAFETY: the communicator is valid and all pointers are to locals of the right types.
        let code = unsafe {
            ffi::MPI_Improbe(
                ffi::RSMPI_ANY_SOURCE,
                ffi::RSMPI_ANY_TAG,
                communicator.as_raw(),
                &mut found,
                &mut message,
                status.as_mut_ptr(),
            )
        };
        check(rank, "MPI_Improbe", code)?;
        if found == 0 {
            return Ok(None);
        }
        // SAFETY: a successful probe that found a message has filled in its status.
        let status = unsafe { status.assume_init() };
        // SAFETY: `status` is valid and `words` a local.
        let code = unsafe { ffi::MPI_Get_count(&status, ffi::RSMPI_UINT64_T, &mut words) };
        check(rank, "MPI_Get_count", code)?;

        // Only this transport sends on its communicator, so the tag is the number of a lane.
        let (peer, lane) = (status.MPI_SOURCE as usize, Lane::ALL[status.MPI_TAG as usize]);
        let mut transfer = Transfer::idle(rank, peer, lane, pool.take(words as usize));
        // SAFETY: the buffer has room for the message's `words` words and outlives the request, as `Transfer` frees
        // it only after `test` has seen the request complete; `message` is the one just matched.
        let code = unsafe {
            ffi::MPI_Imrecv(
                transfer.buffer.as_mut_ptr().cast(),
                words,
                ffi::RSMPI_UINT64_T,
                &mut message,
                &mut transfer.request,
            )
        };
        check(rank, "MPI_Imrecv", code)?;
        Ok(Some(transfer))
    }

    fn idle(rank: usize, peer: usize, lane: Lane, buffer: Vec<u64>) -> Self {
        // SAFETY: reads a constant of the MPI library.
        let request = unsafe { ffi::RSMPI_REQUEST_NULL };
        Transfer { peer, lane, rank, request, buffer, complete: false }
    }

    /// Whether the transfer is complete. Lets MPI make progress.
    pub fn test(&mut self) -> Result<bool> {
        if !self.complete {
            let mut flag = 0;
            // SAFETY: the request is the one of this transfer and is not complete yet.
            let code = unsafe { ffi::MPI_Test(&mut self.request, &mut flag, ffi::RSMPI_STATUS_IGNORE) };
            check(self.rank, "MPI_Test", code)?;
            self.complete = flag != 0;
        }
        Ok(self.complete)
    }

    /// Length of the message.
    pub fn words(&self) -> usize {
        self.buffer.len()
    }

    /// The buffer of a complete transfer.
    pub fn into_buffer(mut self) -> Vec<u64> {
        debug_assert!(self.complete, "MPI still uses the buffer");
        mem::take(&mut self.buffer)
    }
}

/// The buffer of an unfinished transfer is leaked on purpose: MPI may access it until the process ends.
impl Drop for Transfer {
    fn drop(&mut self) {
        if !self.complete {
            mem::forget(mem::take(&mut self.buffer));
        }
    }
}

/// An error unless `code` is `MPI_SUCCESS`.
pub(super) fn check(rank: usize, call: &'static str, code: c_int) -> Result<()> {
    if code == SUCCESS {
        return Ok(());
    }
    let mut text = [0 as c_char; ffi::MPI_MAX_ERROR_STRING as usize];
    let mut length = 0;
    // SAFETY: the array has the size that the standard requires, and MPI is initialised.
    let known = unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr(), &mut length) } == SUCCESS;
    let text = if known {
        String::from_utf8_lossy(bytemuck::cast_slice(&text[..length as usize])).into_owned()
    } else {
        format!("code {code}")
    };
    Err(Error::Mpi { rank, call, text })
}
