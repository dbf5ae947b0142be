//! The BLAS that this program is linked with.
//!
//! - `threads`: limits BLAS to one thread
//! - `vectors`: the vector width of a processor, and of OpenBLAS's kernels
//! - `kernels`: the kernels that OpenBLAS uses, and whether they suit the processor
//! - `restart`: restarts the program if OpenBLAS itself has chosen poor kernels
//! - `room`: checks the address space that OpenBLAS needs
//! - `check`: whether its products are correct

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod check;
mod kernels;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod restart;
mod room;
mod threads;
mod vectors;

pub use kernels::{Blas, Chosen, Trouble, blas};
pub use room::check_blas_room;
pub use threads::blas_default_threads;
pub(super) use threads::keep_blas_on_one_thread;
