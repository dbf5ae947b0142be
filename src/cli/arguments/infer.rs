//! The words of `ternflock bench infer`.

use std::path::PathBuf;

use clap::Args;

use super::Instructions;
use super::arithmetic::precision;
use ternflock_tensor::Precision;

/// `ternflock bench infer`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock bench infer runs/lenet-fashion/checkpoints/best.h5
  ternflock bench infer masked.h5 small.h5 --verify --batch 64 --threads 2 --json
  ternflock bench infer pruned.h5 --csr
  ternflock bench infer runs/lenet-fashion/checkpoints/best.h5 --precision bf16
  ternflock bench infer --model lstm-large --hidden 1500,1500 --vs-hidden 373,315 --batch 10 --steps 30

Networks alternate. The table shows medians, and the speed of each network relative to the first one. The first pass
of each turn is not timed, so weights that fit into a cache are already in it.")]
pub struct Infer {
    /// Checkpoints, which must take the same input; the others are compared with the first.
    #[arg(
        value_name = "CHECKPOINT",
        required_unless_present = "model",
        conflicts_with_all = ["model", "hidden", "vs_hidden", "embedding", "vs_embedding", "steps"]
    )]
    pub checkpoints: Vec<PathBuf>,
    /// Instead of checkpoints: a preset, with its initial weights.
    #[arg(long, value_name = "PRESET")]
    pub model: Option<String>,
    /// Hidden units of the preset's recurrent layers, in order [default: the preset's]
    #[arg(long, value_name = "N,...", value_delimiter = ',', requires = "model", value_parser = units)]
    pub hidden: Option<Vec<usize>>,
    /// Hidden units of a second network, to compare with the first.
    #[arg(long, value_name = "N,...", value_delimiter = ',', requires = "model", value_parser = units)]
    pub vs_hidden: Option<Vec<usize>>,
    /// Features of the embedding of both networks [default: the preset's; if the logits are tied to it, the
    /// units of the last recurrent layer]
    #[arg(long, value_name = "N", requires = "model", value_parser = units)]
    pub embedding: Option<usize>,
    /// Features of the embedding of the second network only.
    #[arg(long, value_name = "N", requires = "vs_hidden", value_parser = units)]
    pub vs_embedding: Option<usize>,
    /// Tokens per sequence, for presets that take texts; a checkpoint stores its own number.
    #[arg(long, value_name = "N", requires = "model", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Samples per pass [default: 64 images, 10 texts]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Compute threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// The number format of the operands of matrix products and convolutions, whatever the jobs of the checkpoints say.
    #[arg(long, value_name = "FORMAT", default_value = "float32", value_parser = precision())]
    pub precision: Precision,
    /// The instruction set.
    #[command(flatten)]
    pub instructions: Instructions,
    /// How long to measure, in seconds; at least three rounds.
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    pub seconds: f64,
    /// First check that each network computes the same as the first one. That holds if surgery only removed zeros, not if the
    /// network was factorised or trained further.
    #[arg(long, conflicts_with = "model")]
    pub verify: bool,
    /// For each convolution and linear layer, also time the unstructured sparse form (CSR) of the same weight.
    #[arg(long)]
    pub csr: bool,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Parses a time to measure for.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0 to 86400 is needed".into()),
    }
}

/// Parses a number of units.
fn units(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(units) if units > 0 => Ok(units as usize),
        _ => Err("a whole number of at least 1 is needed".into()),
    }
}
