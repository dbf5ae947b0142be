//! Shared by the targets: files in memory, and headers of checkpoints.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A directory in memory that exists as long as the process.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<TempDir> = OnceLock::new();
    DIRECTORY.get_or_init(|| tempfile::tempdir_in("/dev/shm").expect("a directory in /dev/shm")).path()
}

/// Writes `content` to the file `name` in [`directory`].
pub fn write(name: &str, content: &[u8]) -> PathBuf {
    let path = directory().join(name);
    fs::write(&path, content).expect("room in /dev/shm");
    path
}

/// The size of the block before the HDF5 file in a checkpoint.
pub const HEADER: usize = 512;

/// The first line of a checkpoint: the header that matches `content`, which follows it.
pub fn line(content: &[u8]) -> String {
    let digest = xxhash_rust::xxh3::xxh3_128(content);
    format!("ternflock-checkpoint 1 {} {digest:032x}\n", content.len())
}

/// `content` with a matching header.
pub fn sealed(content: &[u8]) -> Vec<u8> {
    let line = line(content);
    let mut bytes = vec![0; HEADER];
    bytes[..line.len()].copy_from_slice(line.as_bytes());
    bytes.extend_from_slice(content);
    bytes
}
