//! Errors as messages and exit codes, and the end of a job of many ranks.

use std::fmt;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use super::launcher::is_started_by_hydra;
use super::streams::log;
pub use ternflock_base::error::INTERRUPTED;
use ternflock_base::error::{Error, Kind};
use ternflock_bench::Ranks;
use ternflock_world::World;

/// How long rank 0 waits for the others to end before it prints its last message, if the launcher requires
/// that.
const LINGER: Duration = Duration::from_millis(250);

/// Ends this rank of `world` with a `code` that the launcher must pass on. All other ranks do the same. Rank
/// 0 prints the `last_words`.
///
/// The launcher of MPICH 4.0 looks for ended ranks whenever a running rank prints something. It loses the
/// exit codes of ranks that it finds only after all ranks have closed their output: if all end at once, it
/// may report success. So rank 0 prints after the others have ended. This cannot help if a host has only one
/// rank. Other launchers end all ranks as soon as one has ended with a code, so rank 0 prints first there.
pub fn leave(world: World, code: u8, last_words: fmt::Arguments) -> ExitCode {
    let (rank, ranks) = (world.rank(), world.size());
    let lingers = ranks > 1 && is_started_by_hydra();
    if rank == 0 && !lingers {
        log(last_words);
    }
    drop(world);
    if rank == 0 && lingers {
        thread::sleep(LINGER);
        log(last_words);
    }
    code.into()
}

/// Prints `error` of a single process and returns its exit code.
pub fn fail(error: &Error) -> ExitCode {
    log(format_args!("ternflock: {error}"));
    error.kind().exit_code().into()
}

/// Ends this rank of `world` after `error`. If the other ranks may be waiting for it, all of them are ended at once.
pub fn fail_on(world: World, error: &Error) -> ExitCode {
    let code = error.kind().exit_code();
    match error {
        Error::Elsewhere { .. } => {}
        // The message is the same on every rank, and it names the ranks that it is about.
        Error::NonFinite { .. } | Error::Disagree(_) => {
            return leave(world, code, format_args!("ternflock: {error}"));
        }
        Error::OnAllRanks(inner) if inner.kind() == Kind::NonFinite => {
            log(format_args!("ternflock: {error}"))
        }
        _ if world.size() == 1 => log(format_args!("ternflock: {error}")),
        _ => log(format_args!("ternflock: rank {} on {}: {error}", world.rank(), world.host())),
    }
    if world.size() > 1 && !error.is_on_all_ranks() {
        World::abort(code.into());
    }
    code.into()
}

/// The same for the ranks of a benchmark.
pub fn fail_ranks(ranks: &Ranks, error: &Error) -> ExitCode {
    match error {
        Error::Elsewhere { .. } => {}
        Error::Disagree(_) if ranks.rank() != 0 => {}
        _ => log(format_args!("ternflock: rank {}: {error}", ranks.rank())),
    }
    if ranks.size() > 1 && !error.is_on_all_ranks() {
        World::abort(error.kind().exit_code().into());
    }
    error.kind().exit_code().into()
}

/// The exit code of `error`, which another process reports.
pub fn quietly(error: &Error) -> ExitCode {
    error.kind().exit_code().into()
}
