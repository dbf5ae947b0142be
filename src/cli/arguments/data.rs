//! The words of `ternflock data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `ternflock data`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ternflock data list
  ternflock data fetch mnist
  ternflock data info jobs/lenet-digits.toml
  ternflock data import photos --size 64x64 -o photos.h5
  TERNFLOCK_DATA=/shared/data ternflock data fetch cifar-10

Ternflock looks for data sets in $TERNFLOCK_DATA/NAME, in data/NAME under the current directory, in the user's cache
($XDG_CACHE_HOME/ternflock/NAME, by default ~/.cache/ternflock/NAME), and where a Debian package puts them. `fetch`
downloads into $TERNFLOCK_DATA/NAME if that variable is set, and into the cache otherwise. It resumes a fetch that was
interrupted.")]
pub struct Data {
    /// What to do.
    #[command(subcommand)]
    pub command: DataCommand,
}

/// What `ternflock data` does.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// List the data sets with descriptions and licences, and show whether they are on this machine.
    List {
        /// Print one JSON object, and nothing else, on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Fetch a data set, check its sha256 sums, and put it where jobs look for it.
    Fetch {
        /// The data set's name, as `ternflock data list` gives it.
        name: String,
        /// Where to put it [default: where jobs look for it]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Show a job's data: shapes, classes, ranges, the number of values that are not finite, and a few samples.
    Info(Info),
    /// Pack a folder of images into one HDF5 file, so that training does not decode them.
    Import(Import),
}

/// `ternflock data info`.
#[derive(Args, Debug)]
pub struct Info {
    /// The job file.
    pub job: PathBuf,
    /// Override a value of the job, as in data.normalise=none; may be repeated, and the last one wins.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Read at most about this many samples of each split, spread over all of it.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub samples: usize,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `ternflock data import`.
#[derive(Args, Debug)]
pub struct Import {
    /// The folder: a sub-folder per class, or `train`, `validation` and `test` with a sub-folder per class each.
    pub directory: PathBuf,
    /// The HDF5 file to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Height and width of all images, as in 64x64 [default: their own, which must be the same for all]
    #[arg(long, value_name = "HxW", value_parser = size)]
    pub size: Option<[usize; 2]>,
    /// Stretch images of other sizes to the size instead of cropping them.
    #[arg(long, requires = "size")]
    pub stretch: bool,
    /// Convert the images to grey.
    #[arg(long)]
    pub grey: bool,
    /// Leave out images that cannot be decoded instead of ending with an error.
    #[arg(long)]
    pub skip: bool,
    /// Replace the output file if it exists.
    #[arg(long)]
    pub overwrite: bool,
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Height and width, as in 64x64.
fn size(text: &str) -> Result<[usize; 2], String> {
    let numbers =
        text.split_once('x').and_then(|(height, width)| Some([height.parse().ok()?, width.parse().ok()?]));
    let fits = |size: &[usize; 2]| size.iter().all(|side| (1..=MOST_SIDE).contains(side));
    numbers
        .filter(fits)
        .ok_or_else(|| format!("height and width in pixels, from 1 to {MOST_SIDE}, as in 64x64"))
}

/// The largest height or width, as in a job.
const MOST_SIDE: usize = 16_384;
