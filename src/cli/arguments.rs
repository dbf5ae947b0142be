//! The words of the command line.

mod infer;
mod landscape;
mod predict;
mod scaling;
mod sweep;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use infer::Infer;
pub use landscape::Landscape;
pub use predict::Predict;
pub use scaling::Scaling;
pub use sweep::Sweep;

use crate::bench::MOST_ELEMENTS;
use crate::train::{TEST, VALIDATION};

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
  TERNFLOCK_DATA  where data sets are, one directory each, instead of the cache

Exit codes:
   0  done
   2  the command line or the job file is wrong
   3  data is missing or damaged
   4  a checkpoint is damaged or cannot be written
   5  the run directory cannot be used, or its run has diverged
   6  the loss or a gradient is no longer finite
   7  ranks are late, gone or disagree
  75  a signal ended the run after a checkpoint; --resume continues it
 101  a bug: please report it with the message";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a job, on one rank or under mpirun or srun on many.
    Train(Train),
    /// Measure the accuracy of a checkpoint on the test set of its data, and how flat its minimum is.
    Eval(Eval),
    /// Show what a checkpoint holds: the network layer by layer, what is left of it, and where training is.
    Inspect(Inspect),
    /// Take out of a checkpoint's network what does nothing, and factorise what has little rank.
    Compress(Compress),
    /// Train jobs with several values and seeds, and print means and spreads.
    Sweep(Sweep),
    /// List data sets, or fetch one.
    Data(Data),
    /// Time training steps, forward passes of checkpoints, the gradients' codec, or the all-reduces between ranks.
    Bench(Bench),
    /// Predict how fast a job trains on more nodes, by networks that need not be there.
    Predict(Predict),
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

A run writes job.toml (the effective job), run.toml (how it was started), metrics.jsonl (one event a line) and
checkpoints/ into its directory.

--resume continues a run with its own job: the overrides that it was started with hold, and what the job file or --set
now say otherwise is refused with a list of the differences, unless --allow-changes takes them. Data that have changed
since, and a run that has diverged, are refused too.

A tenth of the training images is a validation split, which chooses checkpoints/best.h5; the test set is evaluated once,
at the end, on that network (data.validation in docs/job-file.md).

SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 end it after the step under way, with a checkpoint and exit code 75; so does the
end of a Slurm allocation when it comes near. --resume then goes on as if nothing had been, also on other ranks.")]
pub struct Train {
    /// The job file (docs/job-file.md); a run that is resumed by its directory needs none.
    #[arg(required_unless_present = "resume")]
    pub job: Option<PathBuf>,
    /// Override a value of the job, as in train.epochs=2; may be repeated, the last one wins.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Where the run goes [default: runs/NAME, or the next free runs/NAME-2, ...]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Continue the run in this directory from its newest checkpoint [default: --run-dir, the directory of the job file if
    /// that is a run's own job.toml, or the run of the job's name in runs/ that was started last]
    #[arg(long, value_name = "RUN_DIR", num_args = 0..=1)]
    pub resume: Option<Option<PathBuf>>,
    /// Resume with what the job file and --set now say, where that differs from the run's own job; the log lists it.
    #[arg(long, requires = "resume")]
    pub allow_changes: bool,
    /// Refuse to continue on another number of ranks than the checkpoint was written by.
    #[arg(long, requires = "resume")]
    pub same_ranks: bool,
    /// When the allocation ends, in seconds since 1970: the run writes a checkpoint before and ends with exit code 75.
    #[arg(long, value_name = "TIME", env = "SLURM_JOB_END_TIME", hide_env_values = true,
        value_parser = clap::value_parser!(u64).range(..1 << 40))]
    pub end_time: Option<u64>,
    /// How long before the allocation's end a run stops, its longest step so far not counted, and never more than half of the
    /// time it has.
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
    /// The set to evaluate on: the test set, or the validation set that the network was chosen by. What is other about it than
    /// in the checkpoint's run is noted.
    #[arg(long, value_name = "SET", default_value = TEST, value_parser = [TEST, VALIDATION])]
    pub on: String,
    /// Print one JSON object on standard output and nothing else there.
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

The first table says what there is and what it costs. The second says how many structures are left of how many: filters,
channels, columns of a convolution's matrix (shapes) and so on, of which any number is not zero, and the rank at which a
weight keeps the share of its energy, of the largest it can have. Large weights take a second or two for that:
--no-ranks leaves it out.")]
pub struct Inspect {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// The share of a weight's energy (its squared elements) that its rank keeps.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub energy: f64,
    /// Compute no ranks.
    #[arg(long, conflicts_with = "energy")]
    pub no_ranks: bool,
    /// Print one JSON object on standard output and nothing else there.
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

--shrink leaves what the network computes as it is; --low-rank changes it by as much as it drops. The new file holds the
network, its parameters and the job, not the state of the optimizer: `ternflock train` fine-tunes it with
model.checkpoint. Surgery within a run, with the optimizer's state, is what [[stage]] of a job is for.")]
pub struct Compress {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Remove units that are zero or that nothing reads, residual branches that are zero, and columns of convolutions and linear
    /// layers that are.
    #[arg(long)]
    pub shrink: bool,
    /// With --shrink: each layer keeps a multiple of so many units.
    #[arg(long, value_name = "N", requires = "shrink", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub round_to: Option<usize>,
    /// With --shrink: leave columns that are zero where they are.
    #[arg(long, requires = "shrink")]
    pub whole_kernels: bool,
    /// Factorise layers: energy=SHARE of each weight's energy to keep, or LAYER=RANK; may be repeated.
    #[arg(long, value_name = "energy=SHARE|LAYER=RANK", value_delimiter = ',')]
    pub low_rank: Vec<String>,
    /// With --low-rank: singular values, equally large factors, in place of principal components.
    #[arg(long)]
    pub svd: bool,
    /// With --low-rank: convolutions to factorise into a vertical and a horizontal one.
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',')]
    pub separable: Vec<String>,
    /// With --low-rank: layers to leave alone.
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',')]
    pub except: Vec<String>,
    /// With --low-rank: factorise layers that this makes more expensive, too.
    #[arg(long)]
    pub whatever_it_costs: bool,
    /// Replace the output file if it is there.
    #[arg(long)]
    pub overwrite: bool,
    /// Print one JSON object on standard output and nothing else there.
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

Data sets are looked for in $TERNFLOCK_DATA/NAME, data/NAME under the current directory, the user's cache
($XDG_CACHE_HOME/ternflock/NAME, by default ~/.cache/ternflock/NAME), and where a Debian package puts them. `fetch` puts
them into the first of these that TERNFLOCK_DATA or the cache names, and goes on where an earlier fetch was cut off.")]
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

Ratios within one run say more than seconds: machines are shared, and change their speed. A machine that is busy with
other work is warned of.")]
pub struct Bench {
    /// What to time.
    #[command(subcommand)]
    pub command: BenchCommand,
}

/// What `ternflock bench` times.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A training step of a network (forward, loss, backward, update) on inputs made beforehand, layer by layer.
    Step {
        /// The network: a preset of the job file, as in resnet-20.
        #[arg(long, value_name = "PRESET", default_value = "lenet")]
        model: String,
        /// Samples of a step [default: 64 images, 20 texts]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        batch: Option<u32>,
        /// Threads that compute.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
        threads: u16,
        /// For how long, in seconds.
        #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = infer::seconds)]
        seconds: f64,
        /// Print JSON on standard output, one object, and nothing else there.
        #[arg(long)]
        json: bool,
    },
    /// Training steps of a job on these ranks or on several numbers of them: throughput, efficiency, and where the time goes.
    Scaling(Scaling),
    /// Forward passes of checkpoints, or of presets, side by side and layer by layer.
    Infer(Infer),
    /// From float32 to ternaries and back, and the addition of sums, on one core, beside a copy of the same vector.
    Codec {
        /// Elements of the vector, as in 2.5e7.
        #[arg(long, value_name = "N", default_value = "2.5e7", value_parser = count)]
        elements: usize,
        /// How often everything is timed.
        #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..))]
        rounds: u16,
        /// The instruction set to use, "all" for each that this machine has [default: the fastest]
        #[arg(long, value_name = "NAME")]
        isa: Option<String>,
        /// Print JSON on standard output, one object a line and instruction set, and nothing else there.
        #[arg(long)]
        json: bool,
    },
    /// From gradients to their mean between the ranks that mpirun or srun has started, each way in turn.
    Allreduce {
        /// Sizes of the vectors.
        #[arg(long, value_name = "N,...", default_value = "1e4,1e6,1e7", value_delimiter = ',', value_parser = count)]
        elements: Vec<usize>,
        /// What to time, by name, or "all".
        #[arg(long, value_name = "NAME,...", default_value = "all", value_delimiter = ',')]
        algorithms: Vec<String>,
        /// How often each is timed [default: about 3 s of the slowest, 5 to 50 times]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        rounds: Option<u16>,
        /// Seconds to wait for another rank.
        #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
        timeout: u32,
        /// Print one JSON object on standard output and nothing else there.
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
