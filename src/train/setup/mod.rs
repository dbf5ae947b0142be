//! From a job to a trainer: data, network, threads and memory.

pub mod build;
pub mod construct;
pub mod data_sizes;
pub mod dry_run;
pub mod feeds;
pub mod placement;
pub mod room;
pub mod simulate;
pub mod start;
