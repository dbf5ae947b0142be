//! The run around the steps: stages, surgery, evaluations, checkpoints, the log, the end of the allocation,
//! and the outcome.

pub mod allocation_deadline;
pub mod checkpoints;
pub mod data;
pub mod entry;
pub mod evaluations;
pub mod log;
pub mod log_interval;
pub mod progress;
pub mod stages;
pub mod steps;
pub mod summary;
pub mod surgery;
pub mod verdict;
