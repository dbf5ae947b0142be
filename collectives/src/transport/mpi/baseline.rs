//! The library's own all-reduce, to measure ours against.

use std::ffi::{c_int, c_void};

use mpi::ffi;
use mpi::traits::AsRaw;

use super::MpiTransport;
use super::transfer::check;
use crate::{Error, Result};

unsafe extern "C" {
    /// `MPI_IN_PLACE`, from `in_place.c`.
    safe fn ternflock_mpi_in_place() -> *const c_void;
}

impl MpiTransport {
    /// Sums `values` of all ranks element by element, in place, by one `MPI_Allreduce`. No deadline applies and no meter
    /// counts.
    ///
    /// # Errors
    /// [`Error::Mpi`] for more elements than a C `int` counts, and when the call fails.
    pub fn allreduce_f32(&mut self, values: &mut [f32]) -> Result<()> {
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
                self.communicator.as_raw(),
            )
        };
        check(self.rank, call, code)
    }
}
