//! The shipped digits job, and the checkpoints its runs leave.

use std::path::{Path, PathBuf};

use ternflock_checkpoint::{self as checkpoint, Snapshot};
use ternflock_job::{self as job, Loaded};

use crate::files;

/// The shipped job, unchanged.
pub const JOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../jobs/lenet-digits.toml");

/// The shipped job with the overrides `sets`.
pub fn shipped(sets: &[&str]) -> Loaded {
    job::load(JOB, &sets.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

/// The file of the checkpoint at `step`.
pub fn at_step(directory: &Path, step: u64) -> PathBuf {
    directory.join(format!("checkpoints/step-{step:010}.h5"))
}

/// The checkpoint at `step`.
pub fn load(directory: &Path, step: u64) -> Snapshot {
    checkpoint::load(at_step(directory, step)).unwrap()
}

/// Both runs are in the same state: parameters, momentum and counters, bit for bit.
pub fn assert_same_state(a: &Snapshot, b: &Snapshot) {
    assert!(a.progress.same_bits(&b.progress), "{:?}\n{:?}", a.progress, b.progress);
    let tensors = |s: &Snapshot| -> Vec<_> {
        let slots = s.optimizer.iter().flat_map(|slot| slot.tensors.clone());
        s.parameters.iter().cloned().chain(slots).collect()
    };
    let (a, b) = (tensors(a), tensors(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).for_each(|(a, b)| assert!(a.same_bits(b), "`{}` differs", a.name));
}

/// The names in the run's directory of checkpoints, sorted.
pub fn checkpoints(directory: &Path) -> Vec<String> {
    files::names(&directory.join("checkpoints"))
}
