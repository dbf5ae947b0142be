//! Creates directories and syncs them to the disk.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Creates the directory at `path` and its parents, unless they exist.
///
/// # Errors
/// If one of them cannot be created.
pub fn create_directories(path: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(path)?;
    // This user may not be able to open a parent directory. Its file system then decides when the name is durable.
    missing.into_iter().rev().for_each(|created| sync(parent(created)).unwrap_or_default());
    Ok(())
}

/// The directory of the file at `path`.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Waits until the names in `directory` are on the disk.
///
/// # Errors
/// If the directory cannot be opened or synced.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Some network file systems cannot sync a directory. Nothing more can be done there.
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
