//! What can go wrong, as values. Only `cli` turns one into a message on the terminal and an exit code.

use std::path::{Path, PathBuf};

/// The result of every fallible function of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// An error says what, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, the launcher or the environment asks for something that cannot be done.
    #[error("{0}")]
    Usage(String),

    /// A job file with an unknown key, a wrong type or an impossible value. `at` is `file:line` or `--set key=value`.
    #[error("{at}: {message}")]
    Job {
        /// Where the value stands.
        at: String,
        /// What is wrong with it and what would be right.
        message: String,
    },

    /// A network whose layers do not fit together.
    #[error("layer `{layer}` ({operation}): {message}")]
    Shape {
        /// The layer's name.
        layer: String,
        /// The layer's type.
        operation: String,
        /// What does not fit, with both shapes.
        message: String,
    },

    /// A data file that is missing, damaged or not what it should be.
    #[error("{}: {message}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        message: String,
    },

    /// A checkpoint that cannot be written, or that is not one.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        message: String,
    },

    /// A run directory that cannot be used.
    #[error("{}: {message}", path.display())]
    RunDir {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it and what to do.
        message: String,
    },

    /// A loss, gradient or parameter that is NaN or infinite.
    #[error("step {step}, rank {rank}: {what}")]
    NonFinite {
        /// The step it was seen in.
        step: u64,
        /// The lowest rank that saw it.
        rank: usize,
        /// The first bad tensor and its first bad value.
        what: String,
    },

    /// The ranks could not exchange, or do not agree on something they must agree on.
    #[error("{0}")]
    Exchange(String),
}

impl Error {
    /// A [`Error::Data`] about `path`.
    pub fn data(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::Data { path: path.as_ref().into(), message: message.into() }
    }

    /// A [`Error::Checkpoint`] about `path`.
    pub fn checkpoint(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::Checkpoint { path: path.as_ref().into(), message: message.into() }
    }

    /// A [`Error::RunDir`] about `path`.
    pub fn run_dir(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::RunDir { path: path.as_ref().into(), message: message.into() }
    }
}
