//! The library's own all-reduce, to measure ours against.

use std::ffi::c_int;

use mpi::ffi;
use mpi::traits::AsRaw;

use super::MpiTransport;
use super::transfer::check;
use crate::{Error, Result};

impl MpiTransport {
    /// Writes the sum of `values` over all ranks into `sums`, by one `MPI_Allreduce`. No deadline applies and no meter
    /// counts.
    ///
    /// # Errors
    /// [`Error::Mpi`] for slices of two lengths, for more elements than a C `int` counts, and when the call fails.
    pub fn allreduce_f32(&mut self, values: &[f32], sums: &mut [f32]) -> Result<()> {
        let call = "MPI_Allreduce";
        let refuse = |text| Error::Mpi { rank: self.rank, call, text };
        if values.len() != sums.len() {
            return Err(refuse(format!("{} values cannot give {} sums", values.len(), sums.len())));
        }
        let count = c_int::try_from(values.len()).map_err(|_| {
            refuse(format!("{} elements are more than the {} of one call", values.len(), c_int::MAX))
        })?;
        // SAFETY: both slices hold `count` elements for the length of the call; the communicator is valid.
        let code = unsafe {
            ffi::MPI_Allreduce(
                values.as_ptr().cast(),
                sums.as_mut_ptr().cast(),
                count,
                ffi::RSMPI_FLOAT,
                ffi::RSMPI_SUM,
                self.communicator.as_raw(),
            )
        };
        check(self.rank, call, code)
    }
}
