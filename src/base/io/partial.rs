//! Atomic replacement of files: a file is complete under its final name or does not exist.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::directory::{parent, sync};
use super::regular::check_own;

/// The part that all temporary names contain.
const MARK: &str = ".partial-";

/// A file under a temporary name next to its final one. Dropping it removes the file.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    target: PathBuf,
}

impl Partial {
    /// Creates the file `.<name>.partial-<process>` in the directory of `target` and lets `fill` write it. The content is
    /// on the disk when this returns. A leftover of another process with the same id is removed.
    ///
    /// # Errors
    /// If `target` is something other than a regular file, if the file cannot be created, or if `fill` fails.
    pub fn beside(target: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<Partial> {
        check_own(target)?;
        let path = temporary_name(target)?;
        let file = create_temporary(&path).map_err(|error| about("create", &path, &error))?;
        let partial = Partial { path, target: target.into() };
        fill(&file)?;
        file.sync_all()?;
        Ok(partial)
    }

    /// The path before the file is renamed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the file to its final name, replaces an existing file, and waits until the directory is on the disk.
    ///
    /// # Errors
    /// If the file cannot be renamed or the directory cannot be synced.
    pub fn rename(self) -> io::Result<()> {
        fs::rename(&self.path, &self.target).map_err(|error| about("rename", &self.path, &error))?;
        sync(parent(&self.target)).map_err(|error| {
            io::Error::new(error.kind(), format!("its directory cannot be synced to the disk: {error}"))
        })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename, this name does not exist.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes the file at `path` atomically with `fill`. Until the new content is on the disk, `path` keeps its old content.
///
/// # Errors
/// Those of [`Partial::beside`] and [`Partial::rename`].
pub fn replace(path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    Partial::beside(path, fill)?.rename()
}

/// Removes from `directory` the temporary files that a killed process left, for the final names that `of` accepts.
///
/// # Errors
/// With the path, if the directory cannot be read or a file cannot be removed. A directory with such a name stays.
pub fn remove_partials(directory: &Path, of: impl Fn(&OsStr) -> bool) -> Result<(), (PathBuf, io::Error)> {
    let entries = fs::read_dir(directory).map_err(|error| (directory.into(), error))?;
    for entry in entries {
        let entry = entry.map_err(|error| (directory.into(), error))?;
        let is_left = partial_of(&entry.file_name()).is_some_and(&of);
        if is_left && entry.file_type().is_ok_and(|kind| !kind.is_dir()) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err((entry.path(), error)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The name of the file whose temporary name is `name`.
fn partial_of(name: &OsStr) -> Option<&OsStr> {
    let hidden = name.as_bytes().strip_prefix(b".")?;
    let at = hidden.windows(MARK.len()).rposition(|part| part == MARK.as_bytes())?;
    let process = str::from_utf8(&hidden[at + MARK.len()..]).ok()?;
    process.parse::<u32>().ok()?;
    Some(OsStr::from_bytes(&hidden[..at]))
}

pub(super) fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "is not a file name"))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!("{MARK}{}", std::process::id()));
    Ok(path.with_file_name(hidden))
}

/// Creates the file at `path`, which belongs to this process only.
fn create_temporary(path: &Path) -> io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).custom_flags(libc::O_NOFOLLOW).open(path);
    match create() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // A leftover of a process with the same id, on this host or another.
            fs::remove_file(path)?;
            create()
        }
        created => created,
    }
}

fn about(operation: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {operation} {}: {error}", path.display()))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    /// The names in `directory`, sorted.
    pub fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_temporary_name_is_hidden_beside_its_file_and_known_as_such() {
        for (path, beside) in [("run.h5", "."), ("a/run.h5", "a"), ("/run.h5", "/"), ("../b/größe", "../b")]
        {
            let (path, name) = (Path::new(path), temporary_name(Path::new(path)).unwrap());
            assert_eq!((parent(&name), parent(path)), (Path::new(beside), Path::new(beside)));
            assert_eq!(partial_of(name.file_name().unwrap()), path.file_name());
        }
        assert!(temporary_name(Path::new("a/..")).is_err());
        for name in ["run.h5", "run.h5.partial-7", ".run.h5", ".run.h5.partial-", ".run.h5.partial-old"] {
            assert_eq!(partial_of(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn what_is_not_renamed_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.h5");
        let failed = replace(&path, |mut file| {
            file.write_all(b"half")?;
            Err(io::Error::other("the rest is lost"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "the rest is lost");
        drop(Partial::beside(&path, |_| Ok(())).unwrap());
        assert_eq!(names(directory.path()), [""; 0]);
        // The second replaces the first.
        for content in ["one", "two"] {
            replace(&path, |mut file| file.write_all(content.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(names(directory.path()), ["run.h5"]);
    }

    #[test]
    fn what_killed_processes_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let stay = [".hidden", ".other.partial-7", "a", "a.partial-7"];
        for name in stay.into_iter().chain([".a.partial-7", ".a.partial-123"]) {
            fs::write(directory.path().join(name), "left").unwrap();
        }
        fs::create_dir(directory.path().join(".a.partial-8")).unwrap();
        symlink("a", directory.path().join(".a.partial-9")).unwrap();
        remove_partials(directory.path(), |name| name == "a").unwrap();
        let mut stay = [&stay[..], &[".a.partial-8"]].concat();
        stay.sort();
        assert_eq!(names(directory.path()), stay);
    }
}
