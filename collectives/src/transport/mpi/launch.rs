//! The job around the messages: ending all of it, and what it runs on.

use std::panic;
use std::process;
use std::thread;
use std::time::Duration;

use mpi::environment;
use mpi::ffi;

/// How long a launcher gets to pass on what a rank has to say before it ends the job.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Ends every rank of the job, now, with exit code `code`. A process that has no running MPI just exits.
pub fn abort(code: i32) -> ! {
    if is_running() {
        // MPICH's launcher drops what a rank has said just before, unless it has had the time to read it.
        thread::sleep(LAST_WORDS);
        // SAFETY: MPI is initialised and not finalised. The call may come from a thread other than MPI's own, which
        // libraries allow for this one function or end the process for; either is what is wanted.
        unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code) };
    }
    process::exit(code)
}

/// From now on a panic on any thread of this process prints its message as before and then ends the whole job. Without
/// this it unwinds into `MPI_Finalize`, which waits for the other ranks, which wait for this one.
pub fn abort_on_panic() {
    let message = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        message(panic);
        if is_running() {
            abort(PANICKED);
        }
    }));
}

/// The exit code of a Rust program that panics.
const PANICKED: i32 = 101;

fn is_running() -> bool {
    environment::is_initialized() && !environment::is_finalized()
}

/// Name and version of the MPI library, the first line of what it says about itself.
pub fn library_version() -> String {
    let text = environment::library_version().unwrap_or_default();
    let line = text.split(['\n', '\0']).next().unwrap_or_default();
    line.trim().trim_end_matches(',').to_owned()
}
