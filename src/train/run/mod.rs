//! The run around the steps: stages, surgery, the log, the end, and the outcome.

pub mod allocation_deadline;
pub mod log_interval;
pub mod stages;
pub mod steps;
pub mod surgery;
pub mod verdict;
