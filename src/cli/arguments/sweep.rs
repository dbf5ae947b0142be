//! The words of `ternflock sweep`.

use std::path::PathBuf;

use clap::Args;

/// `ternflock sweep`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock sweep jobs/lenet-digits.toml --vary smoothout.a=0.01,0.03 --seeds 1,2,3 --set train.epochs=3
  ternflock sweep jobs/large-batch-*.toml --seeds 1,2,3 --eval=--sharpness
  ternflock sweep jobs/lenet-fashion.toml --vary train.global_batch=64,256 --launcher 'mpirun -n 2'
  ternflock sweep jobs/lenet-fashion.toml --seeds 1,2,3 --only $SLURM_ARRAY_TASK_ID
  ternflock sweep jobs/lenet-fashion.toml --seeds 1,2,3 --report --json

The table has the score that each run's network was chosen by, on the validation split, and beside it that of the same network on the
test set: choose values by the first. A run that diverges is a row that says at which step.

Every run has its own directory; runs that are complete are not done again, and one that was interrupted goes on where it
was. So the same line may be said again, be it after a signal (exit code 75), to add seeds, or to see the table. As a Slurm
array each task does the run of its number: `--list` prints them, `--report` the table in the end.")]
pub struct Sweep {
    /// The job files.
    #[arg(required = true)]
    pub jobs: Vec<PathBuf>,
    /// Values of a key of the job, each of which is tried, with each of every other --vary.
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub vary: Vec<String>,
    /// Seeds (train.seed), each of which is tried [default: that of the job]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub seeds: Vec<u64>,
    /// Override a value of all runs, as for `ternflock train`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Where the runs go, a directory each.
    #[arg(long, value_name = "DIR", default_value = "runs/sweep")]
    pub into: PathBuf,
    /// What starts a run, as in 'mpirun -n 2' or 'srun --mpi=pmix' [default: nothing, one rank]
    #[arg(long, value_name = "COMMAND", default_value = "", hide_default_value = true)]
    pub launcher: String,
    /// Evaluate each run's network once more afterwards, with these words of `ternflock eval`, as in
    /// --eval='--sharpness --samples 2000'.
    #[arg(long, value_name = "WORDS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub eval: Option<String>,
    /// Do only the runs of these numbers, as in 0,3,5-7.
    #[arg(long, value_name = "N,...", conflicts_with_all = ["report", "list"])]
    pub only: Option<String>,
    /// Do no run; print the table of what there is.
    #[arg(long, conflicts_with = "list")]
    pub report: bool,
    /// Do no run; print the runs' numbers and directories, one a line.
    #[arg(long)]
    pub list: bool,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long, conflicts_with = "list")]
    pub json: bool,
}
