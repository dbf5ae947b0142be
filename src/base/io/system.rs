//! Files below `/proc` and `/sys`, in which the system describes itself.

use std::io;
use std::path::Path;

use super::regular::read_text;

/// More than any of them has. `/proc/self/maps` has a line of about 100 bytes per mapping.
const MOST_BYTES: u64 = 64 << 20;

/// Reads the file at `path` as text.
///
/// # Errors
/// If the file cannot be read, is not a regular file, is not UTF-8 or has more than 64 MiB.
pub fn read_system(path: &Path) -> io::Result<String> {
    read_text(path, MOST_BYTES)
}
