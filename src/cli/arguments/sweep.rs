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

The table shows the validation score, by which each run's network was chosen, and the test score of the same network.
Choose values by the validation score. A run that diverges has a row with the step at which it diverged.

Every run has its own directory. Complete runs are not repeated, and an interrupted run continues from its last
checkpoint. So you can run the same command again after a signal (exit code 75), to add seeds, or to see the table. In
a Slurm array, each task performs the run with its number: `--list` prints the numbers, and `--report` prints the
table at the end.")]
pub struct Sweep {
    /// The job files.
    #[arg(required = true)]
    pub jobs: Vec<PathBuf>,
    /// Values to try for a key of the job; several --vary try every combination.
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub vary: Vec<String>,
    /// Seeds to try (train.seed) [default: that of the job]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub seeds: Vec<u64>,
    /// Override a value of all runs, as for `ternflock train`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// The directory for the runs, each of which has its own subdirectory.
    #[arg(long, value_name = "DIR", default_value = "runs/sweep")]
    pub into: PathBuf,
    /// The command that starts a run, as in 'mpirun -n 2' or 'srun --mpi=pmix' [default: nothing, one rank]
    #[arg(long, value_name = "COMMAND", default_value = "", hide_default_value = true)]
    pub launcher: String,
    /// Evaluate each run's network once more afterwards, with these arguments of `ternflock eval`, as in
    /// --eval='--sharpness --samples 2000'.
    #[arg(long, value_name = "WORDS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub eval: Option<String>,
    /// Perform only the runs with these numbers, as in 0,3,5-7.
    #[arg(long, value_name = "N,...", conflicts_with_all = ["report", "list"])]
    pub only: Option<String>,
    /// Perform no runs; print the table of the existing ones.
    #[arg(long, conflicts_with = "list")]
    pub report: bool,
    /// Perform no runs; print the numbers and directories of all runs, one per line.
    #[arg(long)]
    pub list: bool,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long, conflicts_with = "list")]
    pub json: bool,
}
