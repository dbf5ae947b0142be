//! All errors, as values. Only `cli` converts them into messages on the terminal and exit codes.

use std::path::{Path, PathBuf};

/// The result of every fallible function of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// An error tells what is wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, the launcher or the environment requests something that is not possible.
    #[error("{0}")]
    Usage(String),

    /// A job file with an unknown key, a wrong type or an impossible value. `at` is `file:line` or `--set key=value`.
    #[error("{at}: {message}")]
    Job {
        /// The place of the value.
        at: String,
        /// The problem, and the allowed values.
        message: String,
    },

    /// A network whose layers do not fit together.
    #[error("layer `{layer}` ({operation}): {message}")]
    Shape {
        /// The layer's name.
        layer: String,
        /// The layer's type.
        operation: String,
        /// The mismatch, with both shapes.
        message: String,
    },

    /// A data file that is missing, damaged or of the wrong kind.
    #[error("{}: {message}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// The problem and the remedy.
        message: String,
    },

    /// A checkpoint that cannot be written, or a file that is not a checkpoint.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The problem and the remedy.
        message: String,
    },

    /// A run directory that cannot be used.
    #[error("{}: {message}", path.display())]
    RunDir {
        /// The file or directory.
        path: PathBuf,
        /// The problem and the remedy.
        message: String,
    },

    /// A loss, gradient or parameter that is NaN or infinite.
    #[error("step {step}, rank {rank}: {what}")]
    NonFinite {
        /// The step in which it was found.
        step: u64,
        /// The lowest rank that found it.
        rank: usize,
        /// The first bad tensor and its first bad value.
        what: String,
    },

    /// The ranks could not communicate: one is late, has ended, or sent an unexpected message.
    #[error("{0}")]
    Exchange(String),

    /// The ranks do not agree on something they must agree on; every rank returns this error.
    #[error("{0}")]
    Disagree(String),

    /// This rank failed in a step that must succeed on all ranks; the others return [`Error::Elsewhere`].
    #[error("{0}")]
    OnAllRanks(Box<Error>),

    /// Another rank failed in a step that must succeed on all ranks, and reports the error itself.
    #[error("rank {rank} has failed")]
    Elsewhere {
        /// The lowest rank that failed.
        rank: usize,
        /// The kind of its error.
        kind: Kind,
    },
}

/// Converts an error of the crate of collectives.
impl From<ternflock_collectives::Error> for Error {
    fn from(failure: ternflock_collectives::Error) -> Self {
        match failure {
            ternflock_collectives::Error::Disagree { .. } => Error::Disagree(failure.to_string()),
            _ => Error::Exchange(failure.to_string()),
        }
    }
}

/// The exit code of a run that a signal or the end of its allocation ended after a checkpoint: BSD's EX_TEMPFAIL, "try
/// again later".
pub const INTERRUPTED: u8 = 75;

/// The kinds of errors, for exit codes and for messages to other ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An error in the command line, the job or the network.
    Usage = 1,
    /// An error in data files.
    Data,
    /// An error in checkpoints.
    Checkpoint,
    /// An error in the run directory.
    RunDir,
    /// Training has diverged.
    NonFinite,
    /// An error between ranks.
    Exchange,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Usage, Kind::Data, Kind::Checkpoint, Kind::RunDir, Kind::NonFinite, Kind::Exchange];

    /// The exit code of a program that ends with this error.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 2,
            Kind::Data => 3,
            Kind::Checkpoint => 4,
            Kind::RunDir => 5,
            Kind::NonFinite => 6,
            Kind::Exchange => 7,
        }
    }

    /// The kind with the number `number`.
    pub fn from_number(number: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

impl Error {
    /// The kind of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Usage(_) | Error::Job { .. } | Error::Shape { .. } => Kind::Usage,
            Error::Data { .. } => Kind::Data,
            Error::Checkpoint { .. } => Kind::Checkpoint,
            Error::RunDir { .. } => Kind::RunDir,
            Error::NonFinite { .. } => Kind::NonFinite,
            Error::Exchange(_) | Error::Disagree(_) => Kind::Exchange,
            Error::OnAllRanks(error) => error.kind(),
            Error::Elsewhere { kind, .. } => *kind,
        }
    }

    /// Whether all ranks have returned an error, so that none is left waiting and each can end by itself.
    pub fn is_on_all_ranks(&self) -> bool {
        use Error::{Disagree, Elsewhere, NonFinite, OnAllRanks};
        matches!(self, NonFinite { .. } | Disagree(_) | OnAllRanks(_) | Elsewhere { .. })
    }

    /// An [`Error::Data`] about `path`.
    pub fn data(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::Data { path: path.as_ref().into(), message: message.into() }
    }

    /// An [`Error::Checkpoint`] about `path`.
    pub fn checkpoint(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::Checkpoint { path: path.as_ref().into(), message: message.into() }
    }

    /// An [`Error::RunDir`] about `path`.
    pub fn run_dir(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::RunDir { path: path.as_ref().into(), message: message.into() }
    }
}
