//! The words of `ternflock compress`.

use std::path::PathBuf;

use clap::Args;

/// `ternflock compress`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock compress runs/lenet/checkpoints/best.h5 -o small.h5 --shrink
  ternflock compress runs/lenet/checkpoints/best.h5 -o thin.h5 --low-rank energy=0.95
  ternflock compress small.h5 -o smaller.h5 --low-rank conv2=10 --low-rank ip1=20 --svd
  ternflock train jobs/lenet-mnist.toml --set model.checkpoint=smaller.h5

--shrink does not change the function of the network; --low-rank changes it, and the more energy it drops, the larger is the change. The
new file holds the network, its parameters and the job, but not the optimizer state; `ternflock train` fine-tunes it
with model.checkpoint. For surgery within a run, which keeps the optimizer state, use [[stage]] in the job.")]
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
    /// With --shrink: do not remove columns that are zero.
    #[arg(long, requires = "shrink")]
    pub whole_kernels: bool,
    /// Factorise layers: energy=SHARE of each weight's energy to keep, or LAYER=RANK; may be repeated.
    #[arg(long, value_name = "energy=SHARE|LAYER=RANK", value_delimiter = ',')]
    pub low_rank: Vec<String>,
    /// With --low-rank: use singular values (factors with equal norms) instead of principal components.
    #[arg(long)]
    pub svd: bool,
    /// With --low-rank: convolutions to factorise into a vertical and a horizontal one.
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',')]
    pub separable: Vec<String>,
    /// With --low-rank: layers that are not factorised.
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',')]
    pub except: Vec<String>,
    /// With --low-rank: also factorise layers that become more expensive.
    #[arg(long)]
    pub whatever_it_costs: bool,
    /// Replace the output file if it exists.
    #[arg(long)]
    pub overwrite: bool,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}
