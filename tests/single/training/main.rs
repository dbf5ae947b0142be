//! Training with ranks as threads of one process: the exchange against its definition, and whole runs of the digits job.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod agreement;
mod algorithms;
mod arrays;
mod exchange;
mod feedback;
mod language;
mod library;
mod local_steps;
mod method;
mod micro_batches;
mod objective;
mod own_job;
mod powersgd;
mod precision;
mod ranks_agree;
mod records;
mod resume;
mod row_exchange;
mod row_means;
mod row_scales;
mod runs;
mod smoothout;
mod sparse_rows;
mod sparsity;
mod stages;
mod stalls;
mod statistics;
mod values;

/// Numbers of ranks for properties that hold at any number.
const WORLDS: [usize; 6] = [1, 2, 3, 4, 5, 8];
