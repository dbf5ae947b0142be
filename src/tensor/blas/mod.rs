//! The BLAS that this program is linked with.
//!
//! - `threads`: BLAS computes on one thread
//! - `vectors`: how wide the vectors of a processor are, and those of OpenBLAS's kernels
//! - `kernels`: which kernels OpenBLAS computes with here, and what is wrong with that
//! - `restart`: starts the program again where OpenBLAS has chosen poor kernels by itself
//! - `check`: whether its products are right

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod check;
mod kernels;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod restart;
mod threads;
mod vectors;

pub use kernels::{Blas, Chosen, Trouble, blas};
pub use threads::blas_default_threads;
pub(super) use threads::keep_blas_on_one_thread;
