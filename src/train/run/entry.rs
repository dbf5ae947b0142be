//! The options of a run, and the function that runs it.

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

/// The options that a run was started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its run directory; by default a new one under `runs/`.
    pub run_dir: Option<PathBuf>,
    /// Whether it resumes a run: the one in this directory or, without a directory, the newest one below
    /// `runs/` with the job's name.
    pub resume: bool,
    /// Whether the job may then differ from the run's own.
    pub allow_changes: bool,
    /// Whether it refuses to resume on another number of ranks.
    pub same_ranks: bool,
    /// The end of the allocation; ranks may have different information.
    pub end: Option<AllocationDeadline>,
}

/// Runs `loaded` on the ranks of `world` until its last step, or until `stop` is set on one of them. Events go to `sink`
/// on every rank, and on rank 0 into the run directory too.
///
/// # Errors
/// Any error of the run. The other ranks may then be waiting, so a caller with several processes must end
/// them all. Checkpoints written before stay intact.
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
            "the allocation ended {} s ago by the clock of {}, which must be wrong: only a signal will stop \
             this run early",
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
