//! The MPI library's own all-reduce, as a baseline for benchmarks.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;

use mpi::ffi;
use mpi::traits::AsRaw;

use super::oversight::Oversight;
use super::transfer::check;
use super::{Call, MpiTransport};
use crate::{Error, Result};

unsafe extern "C" {
    /// `MPI_IN_PLACE`, from `in_place.c`.
    safe fn ternflock_mpi_in_place() -> *const c_void;
}

/// The MPI library's own collectives among the ranks of a transport, for code that cannot reach the transport
/// inside its wrappers. Only the thread that owns the transport can use it, as long as the transport lives.
pub struct Baseline {
    rank: usize,
    communicator: ffi::MPI_Comm,
    oversight: Oversight,
    only_this_thread: PhantomData<*const ()>,
}

impl MpiTransport {
    /// The MPI library's own collectives among these ranks. All ranks must call them in the same order, and
    /// not during other communication.
    ///
    /// # Safety
    /// It must not be used after the transport is dropped, which ends MPI.
    pub unsafe fn baseline(&self) -> Baseline {
        let (communicator, oversight) = (self.communicator.as_raw(), self.oversight.clone());
        Baseline { rank: self.rank, communicator, oversight, only_this_thread: PhantomData }
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
    /// Sums `values` over all ranks element by element, in place, with one `MPI_Allreduce`. The transport's deadline does
    /// not apply ([`Call::Allreduce`]), and no meter counts the traffic.
    ///
    /// # Errors
    /// [`Error::Mpi`] if a C `int` cannot count the elements, if the call fails, or if the watching thread cannot start.
    pub fn allreduce_f32(&self, values: &mut [f32]) -> Result<()> {
        let call = "MPI_Allreduce";
        let count = c_int::try_from(values.len()).map_err(|_| {
            let text = format!("{} elements are more than the {} of one call", values.len(), c_int::MAX);
            Error::Mpi { rank: self.rank, call, text }
        })?;
        let refused = |error| {
            let text = format!("the thread that watches over it cannot be started: {error}");
            Error::Mpi { rank: self.rank, call, text }
        };
        let _inside = self.oversight.enter(Call::Allreduce).map_err(refused)?;
        // SAFETY: the slice holds `count` elements, which are borrowed for the duration of the call; the
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
