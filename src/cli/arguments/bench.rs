//! The words of `ternflock bench`.

use clap::{Args, Subcommand};

use super::arithmetic::precision;
use super::{Compression, Infer, Instructions, Scaling, infer};
use ternflock_bench::MOST_ELEMENTS;
use ternflock_tensor::Precision;

/// `ternflock bench`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock bench codec
  ternflock bench step --model resnet-20
  ternflock bench step --model resnet-20 --precision bf16
  ternflock bench compression jobs/lstm-ptb.toml --at 20,160
  ternflock bench infer masked.h5 small.h5 --verify
  mpirun -n 4 ternflock bench allreduce
  ternflock bench scaling jobs/lenet-fashion.toml --ranks 1,2
  mpirun -n 4 ternflock bench allreduce --elements 1e4,1e6 --algorithms ring_ternary,mpi_allreduce_f32 --json

Ratios within one run tell more than seconds, because the speed of a shared machine changes. A warning is printed if
the machine is busy with other work.")]
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
        /// The number format of the operands of matrix products and convolutions.
        #[arg(long, value_name = "FORMAT", default_value = "float32", value_parser = precision())]
        precision: Precision,
        /// The instruction set.
        #[command(flatten)]
        instructions: Instructions,
        /// How long to measure, in seconds.
        #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = infer::seconds)]
        seconds: f64,
        /// Print one JSON object, and nothing else, on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Time training steps of a job on one or several numbers of ranks: throughput, efficiency, and where the time goes.
    Scaling(Scaling),
    /// Measure on the gradients of a job how far the mean of ternaries is from the mean gradient, tensor by tensor.
    Compression(Compression),
    /// Time forward passes of checkpoints, or of presets, side by side and layer by layer.
    Infer(Infer),
    /// Time encode, decode and plane addition of ternary gradients on one core, against a memcpy of the same vector.
    Codec {
        /// Elements of the vector, as in 2.5e7.
        #[arg(long, value_name = "N", default_value = "2.5e7", value_parser = count)]
        elements: usize,
        /// The number of times everything is timed.
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
        /// The all-reduces to time, or "all".
        #[arg(long, value_name = "NAME,...", default_value = "all", value_delimiter = ',')]
        algorithms: Vec<String>,
        /// The number of times each is timed [default: about 3 s for the slowest, 5 to 50 times]
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

impl BenchCommand {
    /// The instruction set that was asked for, of the benchmarks that have the option.
    pub fn instructions(&self) -> Option<&Instructions> {
        match self {
            BenchCommand::Step { instructions, .. } => Some(instructions),
            BenchCommand::Infer(infer) => Some(&infer.instructions),
            _ => None,
        }
    }
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

    #[test]
    fn counts_may_have_an_exponent() {
        assert_eq!(["0", "2.5e7", "1000"].map(count), [Ok(0), Ok(25_000_000), Ok(1000)]);
        assert_eq!(count("17179869183"), Ok(MOST_ELEMENTS));
        assert!(
            ["", "1.5", "-1", "17179869184", "1e12", "nan", "x"].into_iter().all(|text| count(text).is_err())
        );
    }
}
