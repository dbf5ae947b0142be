//! Directories: created, and synced to the disk.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Creates the directory at `path` and those above it, unless they are there.
///
/// # Errors
/// If one of them cannot be created.
pub fn create_directories(path: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(path)?;
    // A directory above may be one that this user cannot open: then its file system decides when the name is safe.
    missing.into_iter().rev().for_each(|created| sync(parent(created)).unwrap_or_default());
    Ok(())
}

/// The directory of the file at `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Waits until the names in `directory` are on the disk.
///
/// # Errors
/// If the directory cannot be opened or synced.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Some network file systems cannot sync a directory; there is nothing more to do on them.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_created_up_to_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/c");
        for _ in 0..2 {
            create_directories(&path).unwrap();
            assert!(path.is_dir());
        }
        fs::write(path.join("file"), "").unwrap();
        assert!(create_directories(&path.join("file")).is_err());
        assert!(create_directories(&path.join("file/below")).is_err());
    }
}
