//! The words of `ternflock predict`.

use std::path::PathBuf;

use clap::Args;

use super::Instructions;
use super::arithmetic::precision;
use ternflock_tensor::Precision;

/// `ternflock predict`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock predict best.h5 t10k-images-idx3-ubyte.gz --top 3
  ternflock predict best.h5 photos/ --skip-bad -o classes.csv
  mpirun -n 2 ternflock predict best.h5 images.idx -o classes.npz
  ternflock predict lstm.h5 verses.txt -o verses.csv
  ternflock predict best.h5 images.idx --raw --json
  ternflock predict best.h5 new-houses.csv -o prices.csv

Samples are prepared as in training: the checkpoint defines how. A network for images reads PNG and JPEG files, folders
of them, IDX files and arrays; other networks read arrays, in .npy and .npz files or named as in file.h5:/dataset
or file.npz:array. A network that was trained on a table also reads CSV files, with or without the target columns. A language
model reads UTF-8 texts and scores each line. The content of a file decides its format, not its name. The table on
standard output and in .csv files has a header and a row per sample: the file, the number of the sample in it (from 0),
and the most likely classes with their probabilities, or the predicted values. With --raw, a row has the outputs of the
network. For a line of a text, it has the number of tokens including the end of the line, how many of them are unknown,
the log-likelihood and the perplexity. Ranks share the samples, and rank 0 writes them in order. To forecast how fast a
job trains, use ternflock forecast.")]
pub struct Predict {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Files with samples, or folders of images.
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Write the predictions into this file: .csv, .npz or .h5
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the output file if it exists.
    #[arg(long, requires = "output")]
    pub overwrite: bool,
    /// The number of most likely classes to report [default: 1]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    /// Report the outputs of the network as they are, instead of classes and probabilities.
    #[arg(long, conflicts_with = "top")]
    pub raw: bool,
    /// Name samples that cannot be read, and leave them out. Without this, the command names the first ones and fails.
    #[arg(long)]
    pub skip_bad: bool,
    /// Samples per pass [default: 64, or 16 lines of a text]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Compute threads of each rank [default: its share of the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// The number format of the operands of matrix products and convolutions [default: that of the checkpoint's job]
    #[arg(long, value_name = "FORMAT", value_parser = precision())]
    pub precision: Option<Precision>,
    /// The instruction set.
    #[command(flatten)]
    pub instructions: Instructions,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}
