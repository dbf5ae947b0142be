//! Files in which the system describes itself, below `/proc` and `/sys`.

use std::io;
use std::path::Path;

use super::regular::read_text;

/// More than any of them has; `/proc/self/maps` has a line of about 100 bytes for each mapping.
const MOST_BYTES: u64 = 64 << 20;

/// Reads the file at `path` as text.
///
/// # Errors
/// If it cannot be read, is no regular file, is not UTF-8 or has more than 64 MiB.
pub fn read_system(path: &Path) -> io::Result<String> {
    read_text(path, MOST_BYTES)
}
