//! What the user asks for.

use std::path::Path;

use super::kind::Kind;
use ternflock_base::error::{Error, Result};

/// The path of the data, and the choices that the user has made.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The file or folder.
    pub path: &'a Path,
    /// `--inputs`: the array that the network reads.
    pub inputs: Option<&'a str>,
    /// `--target`: the column or array to predict.
    pub target: Option<&'a str>,
    /// `--targets`: the file of the targets.
    pub targets: Option<&'a Path>,
    /// `--window`: the number of rows that a forecast reads.
    pub window: Option<usize>,
    /// `--horizon`: the number of rows that it predicts.
    pub horizon: Option<usize>,
}

impl Request<'_> {
    /// Refuses options that do not apply to data of this `kind`.
    ///
    /// # Errors
    /// With the option, and where it belongs.
    pub fn check_options(&self, kind: Kind) -> Result<()> {
        use Kind::{Hdf5, Npy, Npz, Table};
        let options: [(&str, bool, &[Kind], &str); 5] = [
            ("--inputs", self.inputs.is_some(), &[Npz, Hdf5], "names an array in an .npz or HDF5 file"),
            (
                "--target",
                self.target.is_some(),
                &[Table, Npz, Hdf5],
                "names a column of a CSV file, or an array in an .npz or HDF5 file",
            ),
            ("--targets", self.targets.is_some(), &[Npy], "names the file with the targets of an .npy file"),
            ("--window", self.window.is_some(), &[Table], "is for forecasts from the rows of a CSV file"),
            ("--horizon", self.horizon.is_some(), &[Table], "is for forecasts from the rows of a CSV file"),
        ];
        for (option, is_given, kinds, meaning) in options {
            if is_given && !kinds.contains(&kind) {
                return Err(Error::Usage(format!(
                    "{option} {meaning}, but {} is {}: leave it out",
                    self.path.display(),
                    kind.described()
                )));
            }
        }
        Ok(())
    }

    /// The path as a job can name it.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn name(&self) -> Result<&str> {
        utf8(self.path)
    }
}

/// `path` as a job can name it.
///
/// # Errors
/// If it is not UTF-8.
pub fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::Usage(format!(
            "{}: a job file is UTF-8 text and cannot name this path: rename it",
            path.display()
        ))
    })
}
