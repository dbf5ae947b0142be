//! Creates a world of ranks from the launcher's environment.
//!
//! A process that no launcher started does not use MPI: it starts faster, and also runs where MPI's daemons
//! cannot. A process that a launcher started must find the other ranks: P processes that each believe they
//! are rank 0 of 1 would do the same work P times.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use super::exit;
use super::launcher::{Launch, is_not_first, recognise};
use super::overdue::{UNTIL_HEARD, oversee};
use super::signals::Signals;
use super::streams::log;
use ternflock_base::error::Error;
use ternflock_bench::Ranks;
use ternflock_job::Exchange;
use ternflock_world::{Late, Patience, World};

/// Joins the ranks that the launcher started, which wait for each other with `patience`.
///
/// # Errors
/// [`Error::Usage`] if the launcher started several processes that MPI does not join into one world,
/// [`Error::Exchange`] if MPI cannot be started.
fn launch<W>(
    alone: impl FnOnce() -> Result<W, Error>,
    join: impl FnOnce() -> Result<W, Error>,
    size: impl FnOnce(&W) -> usize,
) -> Result<W, Error> {
    match recognise(|name| std::env::var(name).ok()) {
        Launch::Alone => alone(),
        Launch::Lost(ranks) => Err(Error::Usage(format!(
            "srun has started {ranks} processes that cannot find each other, so each would be rank 0 of 1: \
             start them with `srun --mpi=pmix` (or pmi2; `srun --mpi=list` lists the choices), or with \
             mpirun"
        ))),
        Launch::Mpi(claimed) => {
            let world = join()?;
            check(size(&world), claimed).map(|()| world)
        }
    }
}

/// [`launch`] for training. If it fails, only the first process prints the error, and the exit code is returned. A signal
/// among `signals` ends the start.
pub fn launch_or_say(patience: Patience, signals: Option<Signals>) -> Result<World, ExitCode> {
    let join = || World::join(patience, Box::new(warn), oversee(patience, signals));
    launch(|| Ok(World::alone()), join, World::size).map_err(say_once)
}

/// [`launch`] for benchmarks of MPI, which is started even for one process. Waits last at most `deadline`.
pub fn launch_ranks_or_say(deadline: Duration) -> Result<Ranks, ExitCode> {
    let patience = Patience { deadline, ..Patience::of(&Exchange::default()) };
    let join = || Ranks::join(deadline, oversee(patience, None));
    launch(join, join, Ranks::size).map_err(say_once)
}

/// As soon as one process has ended with a code, srun ends all others and loses their latest output. So all
/// of them wait until the output of the first one has been read.
fn say_once(error: Error) -> ExitCode {
    let code = if is_not_first() { exit::quietly(&error) } else { exit::fail(&error) };
    thread::sleep(UNTIL_HEARD);
    code
}

/// Names a late rank. The lowest of the ranks that have waited long for it reports for all.
fn warn(late: &Late) {
    if late.is_lowest {
        log(format_args!("ternflock: {late}"));
    }
}

fn check(size: usize, claimed: Option<(usize, &'static str)>) -> Result<(), Error> {
    match claimed {
        Some((ranks, launcher)) if ranks > 1 && size == 1 => Err(Error::Usage(format!(
            "the launcher ({launcher}) has started {ranks} processes, but MPI makes each of them rank 0 of 1: this \
             program was built against {}; start it with that library's own mpirun, or rebuild it",
            World::mpi_library()
        ))),
        _ => Ok(()),
    }
}
