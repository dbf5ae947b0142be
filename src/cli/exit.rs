//! Errors as messages and exit codes, and the end of a job of many ranks.

use std::process::ExitCode;

use super::streams::log;
use crate::bench::Ranks;
use crate::error::{Error, Kind};
use crate::train::World;

/// A signal ended the run after a checkpoint: BSD's EX_TEMPFAIL, "try again later".
pub const INTERRUPTED: u8 = 75;

fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Usage => 2,
        Kind::Data => 3,
        Kind::Checkpoint => 4,
        Kind::RunDir => 5,
        Kind::NonFinite => 6,
        Kind::Exchange => 7,
    }
}

/// Prints `error` of a single process and returns its exit code.
pub fn fail(error: &Error) -> ExitCode {
    log(format_args!("ternflock: {error}"));
    code(error.kind()).into()
}

/// Ends this rank of `world` after `error`. If the other ranks may be waiting for it, all of them are ended at once.
pub fn fail_on(world: World, error: &Error) -> ExitCode {
    match error {
        Error::Elsewhere { .. } => {}
        // The same on every rank, and it names the ranks it is about.
        Error::NonFinite { .. } | Error::Disagree(_) if world.rank() != 0 => {}
        Error::NonFinite { .. } | Error::Disagree(_) => log(format_args!("ternflock: {error}")),
        Error::OnAllRanks(inner) if inner.kind() == Kind::NonFinite => {
            log(format_args!("ternflock: {error}"))
        }
        _ if world.size() == 1 => log(format_args!("ternflock: {error}")),
        _ => log(format_args!("ternflock: rank {} on {}: {error}", world.rank(), world.host())),
    }
    if world.size() > 1 && !error.is_on_all_ranks() {
        World::abort(code(error.kind()).into());
    }
    code(error.kind()).into()
}

/// The same for the ranks of a benchmark.
pub fn fail_ranks(ranks: &Ranks, error: &Error) -> ExitCode {
    match error {
        Error::Elsewhere { .. } => {}
        Error::Disagree(_) if ranks.rank() != 0 => {}
        _ => log(format_args!("ternflock: rank {}: {error}", ranks.rank())),
    }
    if ranks.size() > 1 && !error.is_on_all_ranks() {
        World::abort(code(error.kind()).into());
    }
    code(error.kind()).into()
}

/// The exit code of `error`, which another process says.
pub fn quietly(error: &Error) -> ExitCode {
    code(error.kind()).into()
}
