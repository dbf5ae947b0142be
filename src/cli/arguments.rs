//! The words of the command line.

mod export;
mod forecast;
mod infer;
mod landscape;
mod scaling;
mod sweep;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use export::Export;
pub use forecast::Forecast;
pub use infer::Infer;
pub use landscape::Landscape;
pub use scaling::Scaling;
pub use sweep::Sweep;

use ternflock_bench::MOST_ELEMENTS;
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
    /// Train a job, on one rank or under mpirun or srun on many.
    Train(Train),
    /// Measure the accuracy of a checkpoint on the test set of its data, and how flat its minimum is.
    Eval(Eval),
    /// Show what a checkpoint holds: the network layer by layer, what is left of it, and the progress of training.
    Inspect(Inspect),
    /// Remove structures that do nothing from a checkpoint's network, and factorise weights of low rank.
    Compress(Compress),
    /// Write a checkpoint's parameters in the file format of another program.
    Export(Export),
    /// Train jobs with several values and seeds, and print means and spreads.
    Sweep(Sweep),
    /// List data sets, or fetch one.
    Data(Data),
    /// Time training steps, forward passes of checkpoints, the gradient codec, or the all-reduces between ranks.
    Bench(Bench),
    /// Describe job files to other programs.
    Job(Job),
    /// Forecast how fast a job trains on more nodes and on networks that you need not have.
    Forecast(Forecast),
}

/// `ternflock train`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock train jobs/lenet-digits.toml
  mpirun -n 2 ternflock train jobs/lenet-fashion.toml --set train.epochs=2
  mpirun -n 2 ternflock train jobs/lenet-fashion.toml --resume
  ternflock train --resume runs/lenet-fashion-2
  ternflock train --resume runs/lenet-fashion-2 --allow-changes --set optimizer.learning_rate=0.01

A run writes job.toml (the effective job), run.toml (how it was started), metrics.jsonl (one event per line) and
checkpoints/ into its directory.

--resume continues a run with its own job: the overrides that it was started with still hold. If the job file or a --set
now contradicts that job, the run is refused with a list of the differences, unless --allow-changes accepts them. A run
whose data have changed, or that has diverged, is refused too.

A tenth of the training images is a validation split, which chooses checkpoints/best.h5. The test set is evaluated once,
at the end, on that network (data.validation in docs/job-file.md).

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
    /// Accept differences between the run's own job and what the job file and --set now ask for; the log lists them.
    #[arg(long, requires = "resume")]
    pub allow_changes: bool,
    /// Refuse to continue on another number of ranks than that which wrote the checkpoint.
    #[arg(long, requires = "resume")]
    pub same_ranks: bool,
    /// When the allocation ends, in seconds since 1970: the run writes a checkpoint before and ends with exit code 75.
    #[arg(long, value_name = "TIME", env = "SLURM_JOB_END_TIME", hide_env_values = true,
        value_parser = clap::value_parser!(u64).range(..1 << 40))]
    pub end_time: Option<u64>,
    /// How long before the allocation's end a run stops, in addition to its longest step so far; never more than half of
    /// the time it has.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub end_margin: u32,
}

/// `ternflock eval`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock eval runs/lenet-digits/checkpoints/best.h5
  mpirun -n 2 ternflock eval runs/lenet-fashion/checkpoints/best.h5 --json
  ternflock eval runs/lenet-digits/checkpoints/best.h5 --sharpness --svg loss.svg")]
pub struct Eval {
    /// The checkpoint; it holds the network and the name of its data.
    pub checkpoint: PathBuf,
    /// The directory of the data [default: that of the job, or where the data set is usually found]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The set to evaluate on: the test set, or the validation set that chose the network. Differences from the data of
    /// the checkpoint's run are reported.
    #[arg(long, value_name = "SET", default_value = TEST, value_parser = [TEST, VALIDATION])]
    pub on: String,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
    /// How flat the minimum is.
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
convolution's matrix (shapes) and so on. It shows how many of them have a number that is not zero, out of how many, and
the rank at which a weight keeps the given share of its energy, out of its full rank. Computing the ranks of large
weights takes a second or two; --no-ranks skips it.")]
pub struct Inspect {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// The share of a weight's energy (the sum of its squared elements) that the reported rank keeps.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub energy: f64,
    /// Compute no ranks.
    #[arg(long, conflicts_with = "energy")]
    pub no_ranks: bool,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `ternflock compress`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock compress runs/lenet/checkpoints/best.h5 -o small.h5 --shrink
  ternflock compress runs/lenet/checkpoints/best.h5 -o thin.h5 --low-rank energy=0.95
  ternflock compress small.h5 -o smaller.h5 --low-rank conv2=10 --low-rank ip1=20 --svd
  ternflock train jobs/lenet-mnist.toml --set model.checkpoint=smaller.h5

--shrink does not change what the network computes; --low-rank changes it by as much as it drops. The new file holds the
network, its parameters and the job, but not the optimizer state; `ternflock train` fine-tunes it with model.checkpoint.
For surgery within a run, which keeps the optimizer state, use [[stage]] in the job.")]
pub struct Compress {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Remove units that are zero or that nothing reads, and residual branches and columns of convolutions and linear layers
    /// that are zero.
    #[arg(long)]
    pub shrink: bool,
    /// With --shrink: each layer keeps a multiple of N units.
    #[arg(long, value_name = "N", requires = "shrink", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub round_to: Option<usize>,
    /// With --shrink: leave columns that are zero where they are.
    #[arg(long, requires = "shrink")]
    pub whole_kernels: bool,
    /// Factorise layers: energy=SHARE of each weight's energy to keep, or LAYER=RANK; may be repeated.
    #[arg(long, value_name = "energy=SHARE|LAYER=RANK", value_delimiter = ',')]
    pub low_rank: Vec<String>,
    /// With --low-rank: use singular values (equally large factors) instead of principal components.
    #[arg(long)]
    pub svd: bool,
    /// With --low-rank: convolutions to factorise into a vertical and a horizontal one.
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',')]
    pub separable: Vec<String>,
    /// With --low-rank: layers to leave alone.
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',')]
    pub except: Vec<String>,
    /// With --low-rank: also factorise layers that become more expensive by it.
    #[arg(long)]
    pub whatever_it_costs: bool,
    /// Replace the output file if it exists.
    #[arg(long)]
    pub overwrite: bool,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `ternflock data`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock data list
  ternflock data fetch mnist
  TERNFLOCK_DATA=/shared/data ternflock data fetch cifar-10

Ternflock looks for data sets in $TERNFLOCK_DATA/NAME, in data/NAME under the current directory, in the user's cache
($XDG_CACHE_HOME/ternflock/NAME, by default ~/.cache/ternflock/NAME), and where a Debian package puts them. `fetch`
downloads into $TERNFLOCK_DATA/NAME if that variable is set, and into the cache otherwise. It resumes a fetch that was
interrupted.")]
pub struct Data {
    /// What to do.
    #[command(subcommand)]
    pub command: DataCommand,
}

/// What `ternflock data` does.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// List the data sets: what they are, their licences, and whether they are on this machine.
    List {
        /// Print one JSON object, and nothing else, on standard output.
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

/// `ternflock bench`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock bench codec
  ternflock bench step --model resnet-20
  ternflock bench infer masked.h5 small.h5 --verify
  mpirun -n 4 ternflock bench allreduce
  ternflock bench scaling jobs/lenet-fashion.toml --ranks 1,2
  mpirun -n 4 ternflock bench allreduce --elements 1e4,1e6 --algorithms ring_ternary,mpi_allreduce_f32 --json

Ratios within one run tell more than seconds, because the speed of a shared machine changes. A warning is printed if the
machine is busy with other work.")]
pub struct Bench {
    /// What to time.
    #[command(subcommand)]
    pub command: BenchCommand,
}

/// What `ternflock bench` times.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Time a training step of a network (forward, loss, backward, update), layer by layer, on inputs prepared in advance.
    Step {
        /// The network: a preset as in the job file, such as resnet-20.
        #[arg(long, value_name = "PRESET", default_value = "lenet")]
        model: String,
        /// Samples per step [default: 64 images, 20 texts]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        batch: Option<u32>,
        /// Compute threads.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
        threads: u16,
        /// How long to measure, in seconds.
        #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = infer::seconds)]
        seconds: f64,
        /// Print one JSON object, and nothing else, on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Time training steps of a job on one or several numbers of ranks: throughput, efficiency, and where the time goes.
    Scaling(Scaling),
    /// Time forward passes of checkpoints, or of presets, side by side and layer by layer.
    Infer(Infer),
    /// Time encode, decode and plane addition of ternary gradients on one core, against a memcpy of the same vector.
    Codec {
        /// Elements of the vector, as in 2.5e7.
        #[arg(long, value_name = "N", default_value = "2.5e7", value_parser = count)]
        elements: usize,
        /// How many times everything is timed.
        #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..))]
        rounds: u16,
        /// The instruction set to use, or "all" for each one that this machine has [default: the fastest]
        #[arg(long, value_name = "NAME")]
        isa: Option<String>,
        /// Print JSON, and nothing else, on standard output: one object per line and instruction set.
        #[arg(long)]
        json: bool,
    },
    /// Time every all-reduce, from gradients to their mean, between the ranks that mpirun or srun has started.
    Allreduce {
        /// Sizes of the vectors.
        #[arg(long, value_name = "N,...", default_value = "1e4,1e6,1e7", value_delimiter = ',', value_parser = count)]
        elements: Vec<usize>,
        /// What to time, by name, or "all".
        #[arg(long, value_name = "NAME,...", default_value = "all", value_delimiter = ',')]
        algorithms: Vec<String>,
        /// How many times each is timed [default: about 3 s for the slowest, 5 to 50 times]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        rounds: Option<u16>,
        /// Seconds to wait for another rank.
        #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
        timeout: u32,
        /// Print one JSON object, and nothing else, on standard output.
        #[arg(long)]
        json: bool,
    },
}

/// Elements of a vector: a whole number, which may be written as 1e6, and which the codec can encode.
fn count(text: &str) -> Result<usize, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let fits = (0.0..=MOST_ELEMENTS as f64).contains(&number) && number.fract() == 0.0;
    if fits {
        Ok(number as usize)
    } else {
        Err(format!("a whole number from 0 to {MOST_ELEMENTS} is needed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn counts_may_have_an_exponent() {
        assert_eq!(["0", "2.5e7", "1000"].map(count), [Ok(0), Ok(25_000_000), Ok(1000)]);
        assert_eq!(count("17179869183"), Ok(MOST_ELEMENTS));
        assert!(
            ["", "1.5", "-1", "17179869184", "1e12", "nan", "x"].into_iter().all(|text| count(text).is_err())
        );
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
