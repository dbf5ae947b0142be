//! State that survives a restart: checkpoints, the run directory, and resuming a run.

pub mod averaging;
pub mod changed_slots;
pub mod changes;
pub mod compress_snapshot;
pub mod find_run;
pub mod hash;
pub mod optimizer;
pub mod own_job;
pub mod restore;
pub mod resume;
pub mod run_dir;
pub mod run_record;
pub mod snapshot;
pub mod trained_on;
