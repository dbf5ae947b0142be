//! The words of `ternflock bench scaling`.

use std::path::PathBuf;

use clap::Args;

/// `ternflock bench scaling`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock bench scaling jobs/lenet-fashion.toml --ranks 1,2,4 --launcher 'mpirun -n {}'
  ternflock bench scaling jobs/lenet-fashion.toml --weak --ranks 1,2,4,8 --launcher 'srun --mpi=pmix -N {} -n {}' --svg scaling.svg
  mpirun -n 4 ternflock bench scaling jobs/lenet-fashion.toml --ways ring_f32,ring_ternary --json

With --ranks, the program starts itself on each number of ranks and puts the results into one table. Without, it
measures the ranks that mpirun or srun has started. The ways to average gradients alternate, so that disturbances of
the machine affect all of them equally.

Efficiency is the speed relative to perfect scaling of the fastest way on the fewest ranks. `compute` and the other
times are means over ranks; `hidden` is the part of them that overlapped with compute.")]
pub struct Scaling {
    /// The job file. Nothing is evaluated, and no run directory is written.
    pub job: PathBuf,
    /// Keep the samples per step constant: each rank gets fewer [default]
    #[arg(long, conflicts_with = "weak")]
    pub strong: bool,
    /// Give each rank train.global_batch samples.
    #[arg(long)]
    pub weak: bool,
    /// Numbers of ranks to measure on, one after another.
    #[arg(long, value_name = "P,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub ranks: Vec<u32>,
    /// The command that starts them; {} stands for their number.
    #[arg(long, value_name = "COMMAND", default_value = "mpirun -n {}", requires = "ranks")]
    pub launcher: String,
    /// Ways to average gradients: "ring_f32", "mpi_allreduce_f32" and the all-reduces of ternaries, or "all".
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        default_value = "ring_f32,mpi_allreduce_f32,ring_ternary"
    )]
    pub ways: Vec<String>,
    /// Override a value of the job, as for `ternflock train`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Steps per round, raised to a multiple of exchange.every.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
    /// Rounds; the median of their times counts.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: u16,
    /// Plot throughput and the phases of a step into this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}
