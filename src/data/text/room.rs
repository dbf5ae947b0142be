//! How much memory texts may take, by the size of their files. Raw texts stay within it by themselves; of compressed ones,
//! which become larger than their files, the number of tokens and words decides.

use std::path::{Path, PathBuf};

use crate::data::files::{Whole, by_hand};
use crate::error::{Error, Result};

/// Bytes of memory per byte of the files.
const RATIO: u64 = 16;
/// Bytes of memory for small files.
const ALLOWANCE: u64 = 48_000_000;

/// Is asked before this number of bytes more is taken.
pub type Allow<'a> = &'a dyn Fn(usize) -> Result<()>;

/// The memory of the texts of a data set.
#[derive(Debug, Default)]
pub struct Room {
    /// Bytes of the files.
    input: u64,
    /// Bytes of the texts and tokens made of them.
    held: u64,
    /// One of the files that are compressed.
    compressed: Option<PathBuf>,
}

impl Room {
    /// Counts the file at `path`, which was read.
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
    /// If they do not, and a compressed file is the reason.
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
