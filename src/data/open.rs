//! Finds a data set on this machine and reads it.

use std::path::{Path, PathBuf};

use super::idx::Labels;
use super::places::{Places, ROOT};
use super::{Dataset, Entry, Format, Origin, cifar, digits, files, idx, registry, synthetic};
use ternflock_base::error::{Error, Result};
use ternflock_job::{self as job, Idx};

/// Opens the images of `data` from `directory` or from their usual place, or generates random ones.
///
/// # Errors
/// As for [`open`].
pub fn open_dataset(data: &job::Data, directory: Option<&Path>) -> Result<Dataset> {
    match &data.synthetic {
        Some(synthetic) => synthetic::load(synthetic),
        None => open_as(&data.dataset, directory, data.idx.as_ref()),
    }
}

/// Opens the data set called `name` from `directory`, or from the first place that has it: `$TERNFLOCK_DATA/<name>`,
/// `data/<name>` under the current directory, the user's cache, the directory of the operating system's package.
///
/// # Errors
/// If there is no such data set, if it is not found (the message lists the places and shows how to get it),
/// or if its files are damaged or do not belong together.
pub fn open(name: &str, directory: Option<&Path>) -> Result<Dataset> {
    open_as(name, directory, None)
}

/// Like [`open`], with what the job specifies about the user's own IDX files.
fn open_as(name: &str, directory: Option<&Path>, said: Option<&Idx>) -> Result<Dataset> {
    let entry = registry::find(name)?;
    refuse_directory(name, directory)?;
    match entry.format {
        Format::Digits => digits::load(),
        Format::Idx { classes, .. } => {
            let any = Idx { classes: None, first_label: 0 };
            let labels = classes.map_or(Labels::Said(said.unwrap_or(&any)), Labels::Below);
            let (train, test) = idx::read(&directory_of(entry, directory)?, labels)?;
            Ok(Dataset { name: entry.name, train, test })
        }
        Format::Synthetic | Format::SyntheticText => {
            Err(Error::data(name, "is generated from the settings of a job; there is nothing to open"))
        }
        Format::Cifar10 => cifar::read(&directory_of(entry, directory)?),
        Format::Genesis | Format::Text { .. } => {
            Err(Error::data(name, "is a text, but images were requested"))
        }
        Format::Samples => {
            Err(Error::data(name, "is in the files that a job names; there is nothing to open"))
        }
        Format::Table { .. } => Err(Error::data(name, "is a table, but images were requested")),
    }
}

/// Refuses a `directory` for the data set called `name` if it does not read one: a user who gives a directory
/// expects other data.
///
/// # Errors
/// If the directory is refused, or if there is no such data set.
pub fn refuse_directory(name: &str, directory: Option<&Path>) -> Result<()> {
    let Some(directory) = directory.filter(|_| !job::is_registered(name)) else { return Ok(()) };
    let what = match registry::find(name)?.format {
        Format::Digits | Format::Genesis => "part of the program",
        Format::Synthetic | Format::SyntheticText => "generated",
        Format::Idx { .. } | Format::Cifar10 | Format::Text { .. } => return Ok(()),
        Format::Samples | Format::Table { .. } => return Ok(()),
    };
    let directory = directory.display();
    Err(Error::Usage(format!("{directory}: `{name}` is {what}, so no directory is read: leave it out")))
}

/// `directory`, or the place where `entry` is found.
pub(super) fn directory_of(entry: &Entry, directory: Option<&Path>) -> Result<PathBuf> {
    match directory {
        Some(directory) => Ok(directory.to_owned()),
        None => locate(entry).ok_or_else(|| not_found(entry, &Places::here())),
    }
}

/// The directory from which `open` reads `entry` by default. A directory with only some of the files counts:
/// `open` then names the missing ones.
pub fn locate(entry: &Entry) -> Option<PathBuf> {
    Places::here().candidates(entry).into_iter().find(|directory| holds_any(entry, directory))
}

fn holds_any(entry: &Entry, directory: &Path) -> bool {
    match entry.format {
        Format::Idx { .. } => idx::holds_any(directory),
        _ => entry.format.files().iter().any(|name| files::find(directory, name).is_some()),
    }
}

fn not_found(entry: &Entry, places: &Places) -> Error {
    let Entry { name, origins, .. } = entry;
    if origins.is_empty() {
        return Error::Usage(format!(
            "data set `{name}` needs the directory with its files: {} (raw or .gz)",
            entry.format.files().join(", ")
        ));
    }
    let mut message = "not found. Looked in".to_owned();
    for directory in places.candidates(entry) {
        message += &format!("\n  {}", directory.display());
    }
    if places.root.is_none() {
        message += &format!("\n  ${ROOT}/{name}, but {ROOT} is not set");
    }
    message += &format!("\nGet it with\n  ternflock data fetch {name}");
    for origin in *origins {
        if let Origin::Debian { packages, .. } = origin {
            message += &format!("\n  apt-get install {}", packages.join(" "));
        }
    }
    let without = match entry.format {
        Format::Text { .. } => "jobs/lstm-genesis.toml",
        _ => "jobs/lenet-digits.toml",
    };
    message += &format!("\nor train without a download: {without} needs no data");
    Error::data(name, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_how_to_get_it() {
        let message = not_found(registry::find("fashion-mnist").unwrap(), &Places::default()).to_string();
        for part in [
            "fashion-mnist: not found",
            "\n  data/fashion-mnist\n",
            "\n  /usr/share/datasets/fashion-mnist\n",
            "TERNFLOCK_DATA is not set",
            "ternflock data fetch fashion-mnist",
            "apt-get install dataset-fashion-mnist",
            "jobs/lenet-digits.toml",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let message =
            not_found(registry::find("mnist").unwrap(), &Places { root: Some("root".into()), cache: None })
                .to_string();
        assert!(message.contains("\n  root/mnist\n") && !message.contains("apt-get"), "{message}");
    }

    #[test]
    fn a_set_of_ones_own_needs_its_directory() {
        let message = open("idx", None).unwrap_err().to_string();
        assert!(
            message.contains("needs the directory with its files: train-images-idx3-ubyte,"),
            "{message}"
        );
    }

    #[test]
    fn the_digits_need_no_directory() {
        assert_eq!(open("digits", None).unwrap().name, "digits");
        let message = open("digits", Some(Path::new("elsewhere"))).unwrap_err().to_string();
        assert!(
            message.starts_with("elsewhere: `digits` is part of the program, so no directory is read"),
            "{message}"
        );
    }

    #[test]
    fn a_directory_that_is_given_is_the_only_one_looked_in() {
        let empty = tempfile::tempdir().unwrap();
        let message = open("fashion-mnist", Some(empty.path())).unwrap_err().to_string();
        assert!(message.contains("there is no file train-images-idx3-ubyte"), "{message}");
        assert!(message.starts_with(&empty.path().display().to_string()), "{message}");
    }

    #[test]
    fn a_directory_with_one_of_the_files_counts() {
        let (directory, entry) = (tempfile::tempdir().unwrap(), registry::find("mnist").unwrap());
        assert!(!holds_any(entry, directory.path()));
        std::fs::write(directory.path().join("t10k-labels-idx1-ubyte.gz"), "").unwrap();
        assert!(holds_any(entry, directory.path()));
    }
}
