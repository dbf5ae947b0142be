//! The words of the command line.

mod arithmetic;
mod bench;
mod check;
mod compress;
mod compression;
mod data;
mod export;
mod forecast;
mod infer;
mod init;
mod landscape;
mod predict;
mod sample;
mod scaling;
mod sweep;
mod train;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use arithmetic::Instructions;
pub use bench::{Bench, BenchCommand};
pub use check::Check;
pub use compress::Compress;
pub use compression::Compression;
pub use data::{Data, DataCommand, Import, Info};
pub use export::Export;
pub use forecast::Forecast;
pub use infer::Infer;
pub use init::Init;
pub use landscape::Landscape;
pub use predict::Predict;
pub use sample::Sample;
pub use scaling::Scaling;
pub use sweep::Sweep;
pub use train::Train;

use ternflock_tensor::Precision;
use ternflock_train::{TEST, VALIDATION};

/// Train networks on CPU clusters: MPI ranks exchange 2-bit TernGrad gradients and leave an HDF5 checkpoint.
#[derive(Debug, Parser)]
#[command(name = "ternflock", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Environment:
  TERNFLOCK_DATA  where data sets are, one directory each [default: a cache]

Exit codes:
   0  done
   2  the command line or the job file is wrong
   3  data is missing or damaged
   4  a checkpoint is damaged or cannot be written
   5  the run directory cannot be used, or its run has diverged
   6  the loss or a gradient is no longer finite
   7  ranks are late, gone or disagree
  74  the work is done, but its result cannot be printed
  75  a signal ended the run after a checkpoint; --resume continues it
 101  a bug: please report it with the message
 128  plus the number of a signal that ended the program at once

docs/failures.md lists every wait, its deadline and what ends it.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first job for your data: it looks at a file or folder, and explains each key.
    Init(Init),
    /// Train a job, on one rank or under mpirun or srun on many.
    Train(Train),
    /// Check a job for a number of ranks without training: data, shapes, memory, exchange, and the time of a step.
    Check(Check),
    /// Measure the loss and the scores of a checkpoint's network on the test set, and how flat its minimum is.
    Eval(Eval),
    /// Compute classes, values or likelihoods for new samples with a checkpoint's network.
    Predict(Predict),
    /// Continue a text with the language model in a checkpoint.
    Sample(Sample),
    /// Show what a checkpoint holds: the network layer by layer, what is left of it, and the progress of training.
    Inspect(Inspect),
    /// Remove dead structures from a checkpoint's network, and factorise weights of low rank.
    Compress(Compress),
    /// Write a checkpoint's parameters in the file format of another program.
    Export(Export),
    /// Train jobs with several values and seeds, and print means and spreads.
    Sweep(Sweep),
    /// List and fetch data sets, show a job's data, and pack a folder of images.
    Data(Data),
    /// Time training steps, forward passes of checkpoints, the gradient codec, or the all-reduces between ranks, and measure
    /// the bias of compression.
    Bench(Bench),
    /// Describe job files to other programs.
    Job(Job),
    /// Forecast how fast a job trains on more nodes and on networks that you need not have.
    Forecast(Forecast),
}

impl Command {
    /// The instruction set that was asked for, of the commands that have the option.
    pub fn instructions(&self) -> Option<&Instructions> {
        match self {
            Command::Train(train) => Some(&train.instructions),
            Command::Eval(eval) => Some(&eval.instructions),
            Command::Predict(predict) => Some(&predict.instructions),
            Command::Sample(sample) => Some(&sample.instructions),
            Command::Bench(bench) => bench.command.instructions(),
            _ => None,
        }
    }
}

/// `ternflock eval`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock eval runs/lenet-digits/checkpoints/best.h5
  mpirun -n 2 ternflock eval runs/lenet-fashion/checkpoints/best.h5 --json
  ternflock eval runs/lenet-digits/checkpoints/best.h5 --sharpness --svg loss.svg
  ternflock eval runs/lenet-digits/checkpoints/best.h5 --precision bf16
  ternflock eval runs/lenet-fashion/checkpoints/best.h5 --data jobs/other-clothes.toml

With --data, the samples are those of another job. They are prepared like those that the network was trained on: mean,
standard deviation and crop, or the rules by which a text is split into tokens, are those of the checkpoint.")]
pub struct Eval {
    /// The checkpoint; it holds the network and the name of its data.
    pub checkpoint: PathBuf,
    /// Another job, on whose data to evaluate instead of those of the checkpoint's job.
    #[arg(long, value_name = "JOB")]
    pub data: Option<PathBuf>,
    /// The directory of the data [default: that of the job, or where the data set is usually found]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The set to evaluate on: the test set, or the validation set that chose the network. Differences from the data of
    /// the checkpoint's run are reported.
    #[arg(long, value_name = "SET", default_value = TEST, value_parser = [TEST, VALIDATION])]
    pub on: String,
    /// The number format of the operands of matrix products and convolutions [default: that of the checkpoint's job]
    #[arg(long, value_name = "FORMAT", value_parser = arithmetic::precision())]
    pub precision: Option<Precision>,
    /// The instruction set.
    #[command(flatten)]
    pub instructions: Instructions,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
    /// Options for the flatness of the minimum.
    #[command(flatten)]
    pub landscape: Landscape,
}

/// `ternflock inspect`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock inspect runs/lenet-digits/checkpoints/best.h5
  ternflock inspect runs/lenet-digits/checkpoints/best.h5 --energy 0.99 --json

The first table lists the layers and their cost. The second counts structures: filters, channels, columns of a
convolution's matrix (shapes) and so on. It shows how many of them have a number that is not zero, the total number,
and the rank at which a weight keeps the given share of its energy, out of its full rank. Computing the ranks of large
weights takes a second or two; --no-ranks skips it.")]
pub struct Inspect {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// The share of a weight's energy (the sum of its squared elements) that the reported rank keeps.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub energy: f64,
    /// Do not compute ranks.
    #[arg(long, conflicts_with = "energy")]
    pub no_ranks: bool,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `ternflock job`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock job schema > job.schema.json

An editor with Taplo (in VS Code, the extension Even Better TOML) then completes the keys of a job file, shows their
documentation and marks mistakes. Name the schema in the first line of the job file:

  #:schema ./job.schema.json

The path is relative to the job file. docs/job-file.md describes every key.")]
pub struct Job {
    /// What to do.
    #[command(subcommand)]
    pub command: JobCommand,
}

/// What `ternflock job` does.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Print the JSON Schema of job files, which editors read.
    Schema,
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
