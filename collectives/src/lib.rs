//! Ranks and bytes: transports, the TernGrad codec on bit planes, and the all-reduces that carry it.
//!
//! This crate knows no tensors, layers, arrays or job files.

pub mod philox;
