//! Ternflock.
use blas_src as _;

pub mod error;
pub mod rng;
