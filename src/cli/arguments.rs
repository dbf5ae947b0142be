//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Train networks on CPU clusters: MPI ranks exchange 2-bit TernGrad gradients and leave an HDF5 checkpoint.
#[derive(Debug, Parser)]
#[command(name = "ternflock", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   2  the command line or the job file is wrong
   3  data is missing or damaged
   4  a checkpoint is damaged or cannot be written
   5  the run directory cannot be used
   6  the loss or a gradient is no longer finite
   7  ranks are late, gone or disagree
  75  a signal ended the run after a checkpoint; --resume continues it
 101  a bug: please report it with the message";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a job, on one rank or under mpirun or srun on many.
    Train(Train),
    /// Measure the accuracy of a checkpoint on the test set of its data.
    Eval(Eval),
    /// Show what a checkpoint holds: the network layer by layer, and where training is.
    Inspect(Inspect),
    /// List data sets, or fetch one.
    Data(Data),
}

/// `ternflock train`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock train jobs/lenet-digits.toml
  mpirun -n 2 ternflock train jobs/lenet-fashion.toml --set train.epochs=2
  mpirun -n 2 ternflock train jobs/lenet-fashion.toml --resume

A run writes job.toml (the effective job), metrics.jsonl (one event a line) and checkpoints/ into its directory.
SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 end it after the step under way, with a checkpoint and exit code 75.")]
pub struct Train {
    /// The job file (docs/job-file.md).
    pub job: PathBuf,
    /// Override a value of the job, as in train.epochs=2; may be repeated, the last one wins.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Where the run goes [default: runs/NAME, or the next free runs/NAME-2, ...]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Continue from the newest checkpoint of the run directory [default: of the last runs/NAME...]
    #[arg(long)]
    pub resume: bool,
}

/// `ternflock eval`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock eval runs/lenet-digits/checkpoints/best.h5
  mpirun -n 2 ternflock eval runs/lenet-fashion/checkpoints/best.h5 --json")]
pub struct Eval {
    /// The checkpoint; it holds the network and the name of its data.
    pub checkpoint: PathBuf,
    /// The directory of the data [default: that of the job, or where the data set is usually found]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// `ternflock inspect`.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ternflock inspect runs/lenet-digits/checkpoints/best.h5")]
pub struct Inspect {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// `ternflock data`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock data list
  ternflock data fetch mnist")]
pub struct Data {
    /// What to do.
    #[command(subcommand)]
    pub command: DataCommand,
}

/// What `ternflock data` does.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// List the data sets: what they are, their licence, and whether they are here.
    List {
        /// Print one JSON object on standard output and nothing else there.
        #[arg(long)]
        json: bool,
    },
    /// Fetch a data set, check its sha256 sums, and put it where jobs look for it.
    Fetch {
        /// The data set's name, as `ternflock data list` gives it.
        name: String,
        /// Where to put it [default: where jobs look for it]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
