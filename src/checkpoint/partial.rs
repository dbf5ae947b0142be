//! A file under a temporary name beside its final one, gone unless it is renamed.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What every temporary name contains.
const MARK: &str = ".partial-";

/// The temporary file. Dropping it removes the file.
pub(super) struct Partial {
    path: PathBuf,
}

impl Partial {
    /// A new file `.<name>.partial-<process>` in the directory of `path`, which `fill` writes. All of it is on the
    /// disk when this returns.
    pub(super) fn beside(path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> Result<Self, String> {
        let partial = Partial { path: temporary_name(path)? };
        let file = File::create(&partial.path).map_err(|error| partial.cannot("create", error))?;
        fill(&file).and_then(|()| file.sync_all()).map_err(|error| error.to_string())?;
        Ok(partial)
    }

    /// A copy of the file `from`, to be renamed to `path`. It is never a hard link, because damage to one file must not
    /// affect the other. `copy_file_range` makes the copy. File systems that support it (Btrfs, XFS, NFS 4.2) create a
    /// reflink: no byte is copied until one of the two changes.
    pub(super) fn of(from: &Path, path: &Path) -> Result<Self, String> {
        let mut from_file =
            File::open(from).map_err(|error| format!("cannot be copied from {}: {error}", from.display()))?;
        Self::beside(path, |mut file| io::copy(&mut from_file, &mut file).map(drop)).map_err(|reason| {
            format!("cannot be copied from {}: {reason}{}", from.display(), room(path, &from_file))
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it the name `path`, which it replaces, and waits until the directory says so on the disk.
    pub(super) fn rename(self, path: &Path) -> Result<(), String> {
        fs::rename(&self.path, path).map_err(|error| self.cannot("rename", error))?;
        match File::open(directory(path)).and_then(|directory| directory.sync_all()) {
            // Some network file systems cannot sync a directory; there is nothing more to do on them.
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
                Err(format!("its directory cannot be synced to the disk: {error}"))
            }
            _ => Ok(()),
        }
    }

    fn cannot(&self, operation: &str, error: io::Error) -> String {
        format!("cannot {operation} {}: {error}", self.path.display())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename nothing has this name.
        let _ = fs::remove_file(&self.path);
    }
}

fn temporary_name(path: &Path) -> Result<PathBuf, String> {
    let name = path.file_name().ok_or("is not a file name")?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!("{MARK}{}", std::process::id()));
    Ok(path.with_file_name(hidden))
}

/// Whether `name` is one a [`Partial`] has.
pub(super) fn is_partial(name: &str) -> bool {
    name.starts_with('.') && name.rsplit_once(MARK).is_some_and(|(_, process)| process.parse::<u32>().is_ok())
}

/// How the size of `image` compares with what is free where `path` is, in words; nothing where there is no such place.
pub(super) fn room(path: &Path, image: &File) -> String {
    match (image.metadata(), free_bytes(directory(path))) {
        (Ok(image), Some(free)) => {
            format!(" (it needs {} MB, {} MB are free there)", megabytes(image.len()), megabytes(free))
        }
        _ => String::new(),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The bytes an ordinary user can still write to the file system of `directory`.
fn free_bytes(directory: &Path) -> Option<u64> {
    let directory = CString::new(directory.as_os_str().as_bytes()).ok()?;
    let mut figures = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: both pointers are valid for the call, and a return of 0 says that `figures` was filled in.
    let figures = unsafe {
        (libc::statvfs(directory.as_ptr(), figures.as_mut_ptr()) == 0).then(|| figures.assume_init())
    }?;
    Some(figures.f_bavail * figures.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_name_is_hidden_beside_its_file_and_known_as_such() {
        for (path, beside) in [("run.h5", "."), ("a/run.h5", "a"), ("/run.h5", "/"), ("../b/größe", "../b")]
        {
            let name = temporary_name(Path::new(path)).unwrap();
            assert_eq!(
                (directory(&name), directory(Path::new(path))),
                (Path::new(beside), Path::new(beside))
            );
            assert!(is_partial(name.file_name().unwrap().to_str().unwrap()));
        }
        assert!(temporary_name(Path::new("a/..")).is_err());
        for name in ["run.h5", "run.h5.partial-7", ".run.h5", ".run.h5.partial-", ".run.h5.partial-old"] {
            assert!(!is_partial(name), "{name}");
        }
    }

    #[test]
    fn free_space_is_that_of_the_file_system() {
        assert!(free_bytes(Path::new(".")).is_some());
        assert_eq!(free_bytes(Path::new("/proc")), Some(0));
        assert_eq!(free_bytes(Path::new("no such directory")), None);
    }

    #[test]
    fn what_is_not_renamed_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.h5");
        let failed = Partial::beside(&path, |mut file| {
            io::Write::write_all(&mut file, b"half")?;
            Err(io::Error::other("the rest is lost"))
        });
        assert_eq!(failed.map(drop), Err("the rest is lost".into()));
        drop(Partial::beside(&path, |_| Ok(())).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        Partial::beside(&path, |_| Ok(())).unwrap().rename(&path).unwrap();
        assert!(path.exists() && fs::read_dir(directory.path()).unwrap().count() == 1);
    }

    #[test]
    fn a_second_name_is_a_copy_within_and_across_file_systems() {
        use std::os::unix::fs::MetadataExt;
        let (here, memory) = (tempfile::tempdir_in(".").unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let from = here.path().join("from");
        for path in [here.path().join("to"), memory.path().join("to")] {
            fs::write(&from, "contents").unwrap();
            // Twice: the second replaces the first.
            for _ in 0..2 {
                Partial::of(&from, &path).unwrap().rename(&path).unwrap();
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
        let message = Partial::of(&here.path().join("none"), &from).map(drop).unwrap_err();
        assert!(message.contains("none: No such file"), "{message}");
        assert_eq!(fs::read(&from).unwrap(), b"c");
    }
}
