//! The words of `ternflock export`.

use std::path::PathBuf;

use clap::Args;

use ternflock_export::EXPORTERS;

/// `ternflock export`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock export runs/lenet-digits/checkpoints/best.h5 -o lenet.safetensors
  ternflock export small.h5 -o small.npz
  python3 -c 'import numpy; print(numpy.load(\"small.npz\").files)'

The file holds the parameters as float32, in the shapes that `ternflock inspect` shows. Their names are LAYER.TENSOR,
as in conv1.weight. PyTorch, JAX and others read .safetensors files, and NumPy reads .npz files. Checkpoints are HDF5
files: h5py and other HDF5 readers need no export.")]
pub struct Export {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// The file format [default: the one for the extension of the output file]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub format: Option<String>,
    /// Replace the output file if it exists.
    #[arg(long)]
    pub overwrite: bool,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}

fn formats() -> Vec<&'static str> {
    EXPORTERS.iter().map(|exporter| exporter.name()).collect()
}
