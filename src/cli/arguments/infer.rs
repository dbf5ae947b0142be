//! The words of `ternflock bench infer`.

use std::path::PathBuf;

use clap::Args;

/// `ternflock bench infer`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock bench infer runs/lenet-fashion/checkpoints/best.h5
  ternflock bench infer masked.h5 small.h5 --verify --batch 64 --threads 2 --json
  ternflock bench infer pruned.h5 --csr
  ternflock bench infer --model lstm-large --hidden 1500,1500 --vs-hidden 373,315 --batch 10 --steps 30

Networks take turns; what is printed are medians, and how many times as fast as the first each of them is. The first
pass of a turn is not timed, so weights that fit a cache are found there.")]
pub struct Infer {
    /// Checkpoints, which must take the same input; the first is what the others are compared with.
    #[arg(
        value_name = "CHECKPOINT",
        required_unless_present = "model",
        conflicts_with_all = ["model", "hidden", "vs_hidden", "embedding", "vs_embedding", "steps"]
    )]
    pub checkpoints: Vec<PathBuf>,
    /// Instead of checkpoints: a preset, with the weights it begins with.
    #[arg(long, value_name = "PRESET")]
    pub model: Option<String>,
    /// Hidden units of the preset's recurrent layers, in their order [default: the preset's]
    #[arg(long, value_name = "N,...", value_delimiter = ',', requires = "model", value_parser = units)]
    pub hidden: Option<Vec<usize>>,
    /// The same of a second network, to compare with the first.
    #[arg(long, value_name = "N,...", value_delimiter = ',', requires = "model", value_parser = units)]
    pub vs_hidden: Option<Vec<usize>>,
    /// Features of the embedding, of both networks [default: the preset's, whatever the hidden units; where the logits
    /// are tied to it, as many as the last recurrent layer has units]
    #[arg(long, value_name = "N", requires = "model", value_parser = units)]
    pub embedding: Option<usize>,
    /// The same of the second network alone.
    #[arg(long, value_name = "N", requires = "vs_hidden", value_parser = units)]
    pub vs_embedding: Option<usize>,
    /// Tokens of a text, for presets that take texts; a checkpoint knows its own.
    #[arg(long, value_name = "N", requires = "model", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Samples of a pass [default: 64 images, 10 texts]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Threads that compute.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// For how long, in seconds; three rounds at least.
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    pub seconds: f64,
    /// First check that each network computes what the first one does, as a network does that surgery took zeros out of;
    /// one that is factorised or trained on does not.
    #[arg(long, conflicts_with = "model")]
    pub verify: bool,
    /// Beside each convolution and linear layer, time the unstructured sparse form (CSR) of the same weight.
    #[arg(long)]
    pub csr: bool,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// A time to measure for.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0 to 86400 is needed".into()),
    }
}

/// A number of units.
fn units(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(units) if units > 0 => Ok(units as usize),
        _ => Err("a whole number from 1 on is needed".into()),
    }
}
