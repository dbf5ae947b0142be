//! The words of `ternflock forecast`.

use std::path::PathBuf;

use clap::Args;

/// `ternflock forecast`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock forecast jobs/lenet-fashion.toml --nodes 1..64
  mpirun -n 4 ternflock forecast jobs/lstm-ptb.toml --weak --nodes 1..1024 --link 1gbit,100us --link 10gbit,20us
  ternflock forecast --model alexnet --nodes 1..512 --speed 50 --svg alexnet.svg

The ranks that mpirun or srun has started stand for the ranks of one node. (If you start them on several nodes, with
the same number on each, they stand for the ranks of each node.) They all compute at once, and their steps are
measured. The exchange is simulated by running the collectives themselves on a virtual clock (docs/algorithms.md). The
report tells how fast the job would train, from how many nodes on ternary gradients pay off, and on how many nodes it
would be fastest.")]
pub struct Forecast {
    /// The job file; nothing is trained or written.
    #[arg(conflicts_with = "model")]
    pub job: Option<PathBuf>,
    /// Instead of a job: "alexnet", "googlenet", "vgg-a" or "resnet-50", on random images of ImageNet's size,
    /// with a usual batch size per rank.
    #[arg(long, value_name = "PRESET")]
    pub model: Option<String>,
    /// Numbers of nodes: 1,2,3 or FIRST..LAST, each twice the one before.
    #[arg(long, value_name = "NODES", default_value = "1..64")]
    pub nodes: String,
    /// A network between nodes: RATE,LATENCY as in 1gbit,100us (optionally ,MESSAGE: the rank's own time per
    /// message), or "measured" between the nodes in use; may be repeated [default: 1gbit,100us]
    #[arg(long = "link", value_name = "RATE,LATENCY")]
    pub links: Vec<String>,
    /// Keep the samples per step constant: each rank gets fewer [default for a job]
    #[arg(long, conflicts_with = "weak")]
    pub strong: bool,
    /// Give each rank train.global_batch samples [default for a --model]
    #[arg(long)]
    pub weak: bool,
    /// Ways to average gradients: "ring_f32" and the all-reduces of ternaries, or "all".
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        default_value = "ring_f32,ring_ternary,halving_ternary"
    )]
    pub ways: Vec<String>,
    /// Override a value of the job, as for `ternflock train`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// The speed of the ranks there relative to those here, for computing, encoding and decoding.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    pub speed: f64,
    /// Steps to measure; the median counts.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
    /// Plot the speed by number of nodes, one chart per network, into this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}
