//! Launchers that start several processes which cannot find each other: P copies of "rank 0 of 1" are refused.

use support::program::{Finished, Place, finish};

use crate::PROGRAM;

fn train_under(variables: &[(&str, &str)]) -> Finished {
    let place = Place::new(PROGRAM);
    let mut command = place.command(&["train", "tiny.toml", "--run-dir", "run"]);
    let finished = finish(command.envs(variables.iter().copied()));
    assert_eq!(place.path("run").exists(), finished.code == Some(0));
    finished
}

#[test]
fn srun_without_mpi_is_refused_by_its_first_process_for_all() {
    let step =
        |rank| train_under(&[("SLURM_STEP_NUM_TASKS", "4"), ("SLURM_PROCID", rank), ("SLURM_NTASKS", "4")]);
    let advice = ["srun has started 4 processes that cannot find each other", "srun --mpi=pmix", "mpirun"];
    step("0").refused(2, &advice);
    // One message is enough, but all must fail.
    assert_eq!(step("1").refused(2, &[]).err, "");
}

/// A batch script sees the job's variables, and a step of one task is one process.
#[test]
fn one_process_inside_a_slurm_job_is_alone() {
    train_under(&[("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")]).ended(0);
    train_under(&[("SLURM_STEP_NUM_TASKS", "1"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]).ended(0);
}

/// The launcher of another MPI: it runs no server that this MPI knows, so MPI makes each process a separate
/// world.
#[test]
fn the_launcher_of_another_mpi_is_refused() {
    let rank = |rank| train_under(&[("PMI_RANK", rank), ("PMI_SIZE", "2")]);
    rank("0").refused(
        2,
        &["has started 2 processes, but MPI makes each of them rank 0 of 1", "mpirun, or rebuild it"],
    );
    assert_eq!(rank("1").refused(2, &[]).err, "");
}

#[test]
fn eval_is_as_careful() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    let mut command = place.command(&["eval", "run/checkpoints/best.h5", "--json"]);
    finish(command.env("PMI_RANK", "0").env("PMI_SIZE", "2")).refused(2, &["rank 0 of 1"]);
}

/// These commands need no other ranks: under a launcher the first process prints the output, and the others
/// print nothing.
#[test]
fn what_each_process_would_say_alike_is_said_once() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    for arguments in [&["inspect", "run/checkpoints/best.h5", "--json"][..], &["data", "list", "--json"]] {
        let rank = |rank| finish(place.command(arguments).env("PMIX_RANK", rank)).ended(0);
        assert!(rank("0").json().is_object());
        assert_eq!(rank("1").out, "");
    }
}
