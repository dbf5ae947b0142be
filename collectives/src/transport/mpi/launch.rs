//! The MPI job: how to end it, and the library that it runs on.

use std::env;
use std::panic;
use std::process;
use std::thread;
use std::time::Duration;

use mpi::environment;
use mpi::ffi;

/// The time that a launcher gets to forward a rank's output before it ends the job.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// The time that `MPI_Abort` may take: it requests the launcher to end the job and waits for an answer, which
/// may never arrive.
const UNTIL_ABORTED: Duration = Duration::from_secs(10);

/// Ends every rank of the job immediately with exit code `code`. A process without a running MPI just exits. This process
/// ends within seconds even if the launcher does not answer.
pub fn abort(code: i32) -> ! {
    if is_running() {
        // If no thread can start, MPI_Abort is still the best option.
        let _ = thread::Builder::new().spawn(move || {
            thread::sleep(UNTIL_ABORTED);
            // SAFETY: ends this process without running any other code, which might wait too.
            unsafe { libc::_exit(code) }
        });
        // MPICH's launcher drops output that a rank has just written, unless it has had time to read it.
        thread::sleep(LAST_WORDS);
        // SAFETY: MPI is initialised and not finalised. The call may come from a thread other than MPI's own.
        // Libraries either allow this for this function or end the process; both are acceptable.
        unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code) };
    }
    process::exit(code)
}

/// How long the first message of a job that srun started waits after MPI has started: see
/// [`pause_after_start`].
const UNTIL_ALL_HAVE_STARTED: Duration = Duration::from_millis(250);

/// Waits until the other ranks have most likely left `MPI_Init`, if srun started them with PMIx.
///
/// `MPI_Init` of Open MPI ends with a PMIx barrier, so that a rank can receive by the time others send. The
/// PMIx of Slurm 22.05 occasionally lets ranks pass that barrier while one rank is still in an earlier
/// barrier. A message that arrives then crashes that rank: Open MPI 4.1 calls a function that is not
/// registered yet (a jump to address 0 in `mca_btl_tcp`, below `ompi_mpi_init`; seen in 2 of some 75 starts
/// of four ranks on two busy cores).
pub(super) fn pause_after_start() {
    if needs_pause(|name| env::var(name).ok()) {
        thread::sleep(UNTIL_ALL_HAVE_STARTED);
    }
}

fn needs_pause(variable: impl Fn(&str) -> Option<String>) -> bool {
    let tasks = variable("SLURM_STEP_NUM_TASKS").and_then(|tasks| tasks.parse::<usize>().ok());
    variable("PMIX_RANK").is_some()
        && variable("OMPI_COMM_WORLD_SIZE").is_none()
        && tasks.is_some_and(|tasks| tasks > 1)
}

/// From now on, a panic on any thread of this process prints its message as before and then ends the entire
/// job. Otherwise it would unwind into `MPI_Finalize`, which waits for the other ranks, which wait for this
/// one.
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

/// Whether MPI has started and not ended.
pub(super) fn is_running() -> bool {
    environment::is_initialized() && !environment::is_finalized()
}

/// Name and version of the MPI library: the first line of its description of itself.
pub fn library_version() -> String {
    let text = environment::library_version().unwrap_or_default();
    let line = text.split(['\n', '\0']).next().unwrap_or_default();
    line.trim().trim_end_matches(',').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_several_ranks_of_srun_with_pmix_pause() {
        let needs = |set: &[(&str, &str)]| {
            needs_pause(|name| {
                set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(needs(&[("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "4")]));
        assert!(!needs(&[("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "1")]));
        assert!(!needs(&[("PMI_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "4")]), "srun --mpi=pmi2");
        // mpirun in an allocation; srun may have started its daemons as a step.
        assert!(!needs(&[("PMIX_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "4"), ("SLURM_STEP_NUM_TASKS", "4")]));
        assert!(!needs(&[]));
    }
}
