//! The library's own all-reduce, to measure ours against.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;

use mpi::ffi;
use mpi::traits::AsRaw;

use super::MpiTransport;
use super::transfer::check;
use crate::{Error, Result};

unsafe extern "C" {
    /// `MPI_IN_PLACE`, from `in_place.c`.
    safe fn ternflock_mpi_in_place() -> *const c_void;
}

/// The library's own collectives among the ranks of a transport, for where that is out of reach behind others. Only the thread that
/// has the transport can use it, as long as it has it.
#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    rank: usize,
    communicator: ffi::MPI_Comm,
    only_this_thread: PhantomData<*const ()>,
}

impl MpiTransport {
    /// The library's own collectives among these ranks. Every rank must call them in the same order, and none while others exchange.
    ///
    /// # Safety
    /// It must not be used after the transport is dropped, which ends MPI.
    pub unsafe fn baseline(&self) -> Baseline {
        Baseline { rank: self.rank, communicator: self.communicator.as_raw(), only_this_thread: PhantomData }
    }

    /// [`Baseline::allreduce_f32`] among the ranks of this transport.
    ///
    /// # Errors
    /// Those of [`Baseline::allreduce_f32`].
    pub fn allreduce_f32(&mut self, values: &mut [f32]) -> Result<()> {
        // SAFETY: the transport lives beyond the call.
        unsafe { self.baseline() }.allreduce_f32(values)
    }
}

impl Baseline {
    /// Sums `values` of all ranks element by element, in place, by one `MPI_Allreduce`. No deadline applies and no meter
    /// counts.
    ///
    /// # Errors
    /// [`Error::Mpi`] for more elements than a C `int` counts, and when the call fails.
    pub fn allreduce_f32(&self, values: &mut [f32]) -> Result<()> {
        let call = "MPI_Allreduce";
        let count = c_int::try_from(values.len()).map_err(|_| {
            let text = format!("{} elements are more than the {} of one call", values.len(), c_int::MAX);
            Error::Mpi { rank: self.rank, call, text }
        })?;
        // SAFETY: the slice holds `count` elements, which this rank alone borrows for the length of the call; the
        // communicator is valid.
        let code = unsafe {
            ffi::MPI_Allreduce(
                ternflock_mpi_in_place(),
                values.as_mut_ptr().cast(),
                count,
                ffi::RSMPI_FLOAT,
                ffi::RSMPI_SUM,
                self.communicator,
            )
        };
        check(self.rank, call, code)
    }
}
