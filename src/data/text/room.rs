//! Limits the memory that texts may take, in proportion to the size of their files. Raw texts always stay within the limit.
//! Compressed texts expand, so the number of their tokens and words decides.

use std::path::{Path, PathBuf};

use crate::files::{Whole, by_hand};
use ternflock_base::error::{Error, Result};

/// Bytes of memory per byte of the files.
const RATIO: u64 = 16;
/// Additional bytes, for small files.
const ALLOWANCE: u64 = 48_000_000;

/// Called before this many more bytes are allocated.
pub type Allow<'a> = &'a dyn Fn(usize) -> Result<()>;

/// The memory of the texts of a data set.
#[derive(Debug, Default)]
pub struct Room {
    /// Bytes of the files.
    input: u64,
    /// Bytes of the texts and tokens in memory.
    held: u64,
    /// One of the compressed files, if there is one.
    compressed: Option<PathBuf>,
}

impl Room {
    /// Counts the file at `path`, which has been read.
    pub fn read(&mut self, path: &Path, whole: &Whole) {
        self.input += whole.input;
        if whole.is_compressed {
            self.compressed = Some(path.to_owned());
        }
    }

    /// Counts `bytes` that stay in memory.
    pub fn hold(&mut self, bytes: usize) {
        self.held += bytes as u64;
    }

    /// Whether `bytes` more fit.
    ///
    /// # Errors
    /// If they do not fit and a compressed file is the cause.
    pub fn allow(&self, bytes: usize) -> Result<()> {
        let most = self.input.saturating_mul(RATIO).saturating_add(ALLOWANCE);
        match &self.compressed {
            Some(path) if self.held.saturating_add(bytes as u64) > most => {
                let message = format!(
                    "takes more than {most} bytes of memory as a text, {RATIO} times the size of its file and more{}",
                    by_hand(path)
                );
                Err(Error::data(path, message))
            }
            _ => Ok(()),
        }
    }
}
