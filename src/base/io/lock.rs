//! Locks against other processes. A lock is held until the process ends, in any way.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::regular::open_own;

/// The result of a lock attempt.
#[derive(Debug)]
pub enum Lock {
    /// Held as long as the file is open.
    Held(File),
    /// Another process holds it.
    Busy,
    /// The file system does not support locks.
    Unsupported,
}

/// Locks the file at `path`. Creates the file if necessary; never writes to it.
///
/// # Errors
/// If the file cannot be opened, or if it is a symbolic link or not a regular file.
pub fn lock(path: &Path) -> io::Result<Lock> {
    let file = open_own(path, OpenOptions::new().write(true).create(true))?;
    Ok(match file.try_lock() {
        Ok(()) => Lock::Held(file),
        Err(TryLockError::WouldBlock) => Lock::Busy,
        Err(TryLockError::Error(_)) => Lock::Unsupported,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::regular::tests::make_fifo;

    #[test]
    fn one_holds_the_lock_and_what_is_there_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        std::fs::write(&path, "content").unwrap();
        let held = lock(&path).unwrap();
        assert!(matches!(held, Lock::Held(_)));
        assert!(matches!(lock(&path).unwrap(), Lock::Busy));
        drop(held);
        assert!(matches!(lock(&path).unwrap(), Lock::Held(_)));
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
    }

    #[test]
    fn only_a_file_of_its_own_is_locked() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink("outside", path("link")).unwrap();
        make_fifo(&path("fifo"));
        for (name, reason) in [("link", "it is a symbolic link"), ("fifo", "it is a named pipe (FIFO)")] {
            let message = lock(&path(name)).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
        assert!(!path("outside").exists());
    }
}
