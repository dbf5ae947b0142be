//! The words of `ternflock check`.

use std::path::PathBuf;

use clap::Args;

/// `ternflock check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock check jobs/lenet-digits.toml
  ternflock check jobs/lstm-ptb.toml --ranks 64 --ranks-per-node 16
  ternflock check job.toml --set train.global_batch=4096 --ranks 8 --json

Reads the data, builds the network, and checks everything that a run checks before its first step: layers and shapes, \
memory, stages, and the names in all sections. Then it takes a few steps as one of the ranks. Nothing is written, and no \
other ranks are needed. The time of a step is that of this machine, without the exchange; `ternflock forecast` adds the \
exchange over a network.")]
pub struct Check {
    /// The job file.
    pub job: PathBuf,
    /// Override a value of the job, as in train.steps=100; may be repeated, and the last one wins.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// The number of ranks to check the job for.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MOST_RANKS))]
    pub ranks: u32,
    /// The number of ranks on a node [default: all of them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_RANKS))]
    pub ranks_per_node: Option<u32>,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// More ranks than any cluster has; each needs a place in a table.
const MOST_RANKS: i64 = 1 << 20;
