//! How a run is asked for, and the call that does it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use xxhash_rust::xxh3::xxh3_64;

use crate::run::allocation_deadline::{AllocationDeadline, Watch};
use crate::run::steps::Run;
use crate::setup::start::agree;
use crate::state::own_job::take_up;
use ternflock_base::error::Result;
use ternflock_job::Loaded;
use ternflock_report::{Event, Summary};
use ternflock_world::World;

/// How a run was asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where it goes; by default a directory of its own under `runs/`.
    pub run_dir: Option<PathBuf>,
    /// Whether it continues a run: the one in this directory, or otherwise the newest one below `runs/` with the job's
    /// name.
    pub resume: bool,
    /// Whether it may then differ from the run's own job.
    pub allow_changes: bool,
    /// Whether it refuses to continue on another number of ranks.
    pub same_ranks: bool,
    /// Until when it may go on; ranks need not know the same.
    pub end: Option<AllocationDeadline>,
}

/// Runs `loaded` on the ranks of `world` until its last step, or until `stop` is set on one of them. Events go to `sink`
/// on every rank, and on rank 0 into the run directory too.
///
/// # Errors
/// Whatever went wrong, after which the other ranks may be waiting: a caller with several processes must end them all.
/// Checkpoints written before stay whole.
pub fn run(
    loaded: &Loaded,
    options: &Options,
    world: &mut World,
    stop: &AtomicBool,
    sink: &mut dyn FnMut(&Event),
) -> Result<Summary> {
    let (mut watch, passed) = Watch::new(options.end, SystemTime::now());
    let mut stops = || stop.load(Ordering::Relaxed) || watch.is_time();
    agree(loaded, world)?;
    world.agree(
        "the hash of the options --resume, --allow-changes, --same-ranks and --run-dir",
        xxh3_64(
            format!("{:?}", (&options.run_dir, options.resume, options.allow_changes, options.same_ranks))
                .as_bytes(),
        ),
    )?;
    let resumed = options.resume.then(|| take_up(loaded, options, world)).transpose()?;
    let (own, taken_up) = resumed.unzip();
    let mut run = Run::start(own.as_ref().unwrap_or(loaded), options, taken_up, world, sink)?;
    if let Some(passed) = passed {
        let text = format!(
            "the allocation ended {} s ago by the clock of {}, which must be wrong: nothing but a signal will stop this run",
            passed.as_secs(),
            world.host()
        );
        run.log.note(run.progress.first_step(), text)?;
    }
    let ended = run.finish(world, &mut stops);
    if let Err(error) = &ended {
        run.log_failure(error);
    }
    ended
}
