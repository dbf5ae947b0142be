//! Copies of a checkpoint, and the disk space that a checkpoint needs.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ternflock_base::io::{open_regular, parent, replace};

/// Atomically replaces the file at `path` with a copy of the file `from`. The copy is never a hard link, because damage to
/// one file must not affect the other. It is made with `copy_file_range`. File systems that support it (Btrfs, XFS, NFS 4.2)
/// create a reflink: no byte is copied until one of the two files changes.
pub(super) fn copy(from: &Path, path: &Path) -> Result<(), String> {
    let failed = |reason: String| format!("cannot be copied from {}: {reason}", from.display());
    let mut from_file = open_regular(from).map_err(|error| failed(error.to_string()))?;
    replace(path, |mut file| io::copy(&mut from_file, &mut file).map(drop))
        .map_err(|error| failed(format!("{error}{}", room(path, &from_file))))
}

/// Compares the size of `image` with the free space at `path`, in words; empty if there is no such place.
pub(super) fn room(path: &Path, image: &File) -> String {
    match (image.metadata(), free_bytes(parent(path))) {
        (Ok(image), Some(free)) => {
            format!(" (it needs {} MB, {} MB are free there)", megabytes(image.len()), megabytes(free))
        }
        _ => String::new(),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}

/// How many bytes an ordinary user can still write to the file system of `directory`.
fn free_bytes(directory: &Path) -> Option<u64> {
    let directory = CString::new(directory.as_os_str().as_bytes()).ok()?;
    let mut figures = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: both pointers are valid for the call, and a return of 0 means that `figures` was filled in.
    let figures = unsafe {
        (libc::statvfs(directory.as_ptr(), figures.as_mut_ptr()) == 0).then(|| figures.assume_init())
    }?;
    Some(figures.f_bavail * figures.f_frsize)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn free_space_is_that_of_the_file_system() {
        assert!(free_bytes(Path::new(".")).is_some());
        assert_eq!(free_bytes(Path::new("/proc")), Some(0));
        assert_eq!(free_bytes(Path::new("no such directory")), None);
    }

    #[test]
    fn a_copy_is_a_file_of_its_own_within_and_across_file_systems() {
        use std::os::unix::fs::MetadataExt;
        let (here, memory) = (tempfile::tempdir_in(".").unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let from = here.path().join("from");
        for path in [here.path().join("to"), memory.path().join("to")] {
            fs::write(&from, "contents").unwrap();
            // Twice: the second copy replaces the first.
            for _ in 0..2 {
                copy(&from, &path).unwrap();
                assert_eq!(fs::read(&path).unwrap(), b"contents");
                assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
                assert_eq!(
                    fs::read_dir(path.parent().unwrap()).unwrap().count(),
                    if path.starts_with(here.path()) { 2 } else { 1 }
                );
            }
            fs::write(&from, "c").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"contents");
        }
        let message = copy(&here.path().join("none"), &from).unwrap_err();
        assert!(message.contains("none: No such file"), "{message}");
        assert_eq!(fs::read(&from).unwrap(), b"c");
    }
}
