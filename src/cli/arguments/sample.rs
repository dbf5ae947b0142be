//! The words of `ternflock sample`.

use std::path::PathBuf;

use clap::Args;

use super::Instructions;
use super::arithmetic::precision;
use ternflock_tensor::Precision;

/// `ternflock sample`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock sample runs/lstm-genesis/checkpoints/best.h5 --prompt 'And God said' --tokens 60
  ternflock sample best.h5 --temperature 0.7 --top-k 40 --seed 3
  ternflock sample best.h5 --prompt 'And God said' --temperature 0 --json

The network reads the end of a line, then the prompt, and draws one token after another. Each token is printed as soon
as it is drawn. The text depends only on the checkpoint, the prompt, the options and the seed. The prompt is split into
tokens as the training text was; words outside the vocabulary are reported and read as <unk>. A line break in the prompt
or in the text is the token <eos>.")]
pub struct Sample {
    /// The checkpoint of a language model.
    pub checkpoint: PathBuf,
    /// The beginning of the text.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prompt: String,
    /// The number of tokens to draw.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub tokens: u32,
    /// The number by which logits are divided: 1 draws with the network's probabilities, less makes likely tokens likelier,
    /// and 0 always takes the most likely token.
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Draw only among the K most likely tokens.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: Option<u32>,
    /// Never draw <unk>, the token for words outside the vocabulary.
    #[arg(long)]
    pub no_unknown: bool,
    /// The seed of the draws.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Compute threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// The number format of the operands of matrix products [default: that of the checkpoint's job]
    #[arg(long, value_name = "FORMAT", value_parser = precision())]
    pub precision: Option<Precision>,
    /// The instruction set.
    #[command(flatten)]
    pub instructions: Instructions,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}
