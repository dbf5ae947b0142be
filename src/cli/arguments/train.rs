//! The words of `ternflock train`.

use std::path::PathBuf;

use clap::Args;

use super::Instructions;

/// `ternflock train`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock train jobs/lenet-digits.toml
  mpirun -n 2 ternflock train jobs/lenet-fashion.toml --set train.epochs=2
  mpirun -n 2 ternflock train jobs/lenet-fashion.toml --resume
  ternflock train jobs/lenet-fashion.toml --set train.precision=bf16
  ternflock train --resume runs/lenet-fashion-2
  ternflock train --resume runs/lenet-fashion-2 --allow-changes --set optimizer.learning_rate=0.01

A run writes job.toml (the effective job), run.toml (how it was started), metrics.jsonl (one event per line) and
checkpoints/ into its directory.

--resume continues a run with its own job: the overrides that it was started with still hold. If the job file or a
--set now contradicts that job, the run is refused with a list of the differences, unless --allow-changes accepts
them. A run whose data have changed, or that has diverged, is refused too.

A tenth of the training images is a validation split, which chooses checkpoints/best.h5. The test set is evaluated
once, at the end, on that network (data.validation in docs/job-file.md).

SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 end a run after the current step, with a checkpoint and exit code 75. So does the
approaching end of a Slurm allocation. --resume then continues as if the run had not been interrupted, even on another
number of ranks.")]
pub struct Train {
    /// The job file (docs/job-file.md); not needed to resume a run by its directory.
    #[arg(required_unless_present = "resume")]
    pub job: Option<PathBuf>,
    /// Override a value of the job, as in train.epochs=2; may be repeated, and the last one wins.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// The directory of the run [default: runs/NAME, or the next free runs/NAME-2, ...]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Continue the run in this directory from its newest checkpoint [default: --run-dir, the directory of the job file if
    /// that is a run's own job.toml, or the run in runs/ that has the job's name and was started last]
    #[arg(long, value_name = "RUN_DIR", num_args = 0..=1)]
    pub resume: Option<Option<PathBuf>>,
    /// Accept differences between the run's own job and the job file with --set; the log lists them.
    #[arg(long, requires = "resume")]
    pub allow_changes: bool,
    /// Refuse to continue on another number of ranks than the one that wrote the checkpoint.
    #[arg(long, requires = "resume")]
    pub same_ranks: bool,
    /// The instruction set.
    #[command(flatten)]
    pub instructions: Instructions,
    /// When the allocation ends, in seconds since 1970. Before that, the run writes a checkpoint and ends
    /// with exit code 75.
    #[arg(long, value_name = "TIME", env = "SLURM_JOB_END_TIME", hide_env_values = true,
        value_parser = clap::value_parser!(u64).range(..1 << 40))]
    pub end_time: Option<u64>,
    /// How long before the end of the allocation a run stops, in addition to its longest step so far; at most
    /// half of the remaining time.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub end_margin: u32,
}
