//! The words of `ternflock init`.

use std::path::PathBuf;

use clap::Args;

/// `ternflock init`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock init houses.csv --target price
  ternflock init photos -o jobs/photos.toml
  ternflock init spectra.npy --targets concentrations.npy
  ternflock init fields.h5 --inputs /fields --target /drag
  ternflock init load.csv --target load --window 48 --horizon 6

PATH is a folder with one sub-folder of PNG or JPEG images per class, a table (.csv or .tsv), NumPy arrays (.npy or .npz), an \
HDF5 file (.h5) or a text (.txt). init writes a job that reads the data and trains a small network for some minutes, or for one \
epoch if that takes longer; comments explain each key. Where the data leave a choice open, it prints what it chose: check this. \
It checks the job as ternflock check does before it writes it.

Paths in the job are those of the command line, so run the job in the same directory, or give an absolute PATH.")]
pub struct Init {
    /// The data: a file or a folder.
    pub path: PathBuf,
    /// The job file to write [default: the name of the data with .toml, in this directory]
    #[arg(short, long, value_name = "JOB")]
    pub output: Option<PathBuf>,
    /// The column to predict, or the array with the targets in an .npz or HDF5 file [default: the last column]
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// The array that the network reads, in an .npz or HDF5 file.
    #[arg(long, value_name = "NAME")]
    pub inputs: Option<String>,
    /// The file with the targets of an .npy file.
    #[arg(long, value_name = "FILE")]
    pub targets: Option<PathBuf>,
    /// Forecast: the rows of a table follow each other in time, and the network reads this number of them.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub window: Option<u32>,
    /// The number of rows after a window that are predicted [default: 1]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub horizon: Option<u32>,
    /// Replace the job file if it exists.
    #[arg(long)]
    pub overwrite: bool,
}
