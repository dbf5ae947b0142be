//! What `ternflock predict` is asked.

use std::path::PathBuf;

use clap::Args;

/// `ternflock predict`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock predict jobs/lenet-fashion.toml --nodes 1..64
  mpirun -n 4 ternflock predict jobs/lstm-ptb.toml --weak --nodes 1..1024 --link 1gbit,100us --link 10gbit,20us
  ternflock predict --model alexnet --nodes 1..512 --speed 50 --svg alexnet.svg

The ranks that mpirun or srun has started stand for those of one node (or, started on several nodes, as many on each, of each node): all of them
compute at once, and so are measured. The exchange is played by the collectives themselves on a virtual clock (docs/algorithms.md). It
says how fast the job would train, from how many nodes on ternaries pay, and on how many it would be fastest.")]
pub struct Predict {
    /// The job file; nothing is trained or written.
    #[arg(conflicts_with = "model")]
    pub job: Option<PathBuf>,
    /// Instead of a job: "alexnet", "googlenet", "vgg-a" or "resnet-50", on made-up images of ImageNet's size, with a batch that is
    /// usual for a rank.
    #[arg(long, value_name = "PRESET")]
    pub model: Option<String>,
    /// Numbers of nodes: 1,2,3 or FIRST..LAST, each twice the one before.
    #[arg(long, value_name = "NODES", default_value = "1..64")]
    pub nodes: String,
    /// A network between nodes: RATE,LATENCY as in 1gbit,100us (and ,MESSAGE: what one takes of a rank's own time), or
    /// "measured" between the nodes that there are; may be repeated [default: 1gbit,100us]
    #[arg(long = "link", value_name = "RATE,LATENCY")]
    pub links: Vec<String>,
    /// The samples of a step stay the same, those of a rank become fewer [default for a job]
    #[arg(long, conflicts_with = "weak")]
    pub strong: bool,
    /// Each rank has train.global_batch samples [default for a --model]
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
    /// Ranks there compute, encode and decode so many times as fast as here.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0)]
    pub speed: f64,
    /// Steps to measure, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
    /// Draw the speed by nodes, a chart a network, into this file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}
