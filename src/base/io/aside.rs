//! Moves entries that are not files out of the way of a file to be written, without losing them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::regular::describe;

/// Describes the entry at `path`, if it exists and is not a regular file; a symbolic link is not a regular file.
pub fn not_a_file(path: &Path) -> Option<&'static str> {
    path.symlink_metadata().ok().and_then(|there| describe(there.file_type()))
}

/// Renames the entry at `path` to `<name>.not-a-file`, or to the next free name like it. Returns the new path.
///
/// # Errors
/// If it cannot be renamed.
pub fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(".not-a-file");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    let mut number = 1;
    while named(number).symlink_metadata().is_ok() {
        number += 1;
    }
    fs::rename(path, named(number))?;
    Ok(named(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_keeps_its_content_and_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "content").unwrap();
        assert_eq!((not_a_file(&path("file")), not_a_file(&path("nothing"))), (None, None));
        for (number, target) in ["file", "nowhere"].into_iter().enumerate() {
            std::os::unix::fs::symlink(target, path("link")).unwrap();
            assert_eq!(not_a_file(&path("link")), Some("a symbolic link"));
            let moved = move_aside(&path("link")).unwrap();
            assert_eq!(moved, path(["link.not-a-file", "link.not-a-file-2"][number]));
            assert_eq!(fs::read_link(moved).unwrap(), Path::new(target));
        }
        fs::create_dir_all(path("directory/below")).unwrap();
        assert_eq!(not_a_file(&path("directory")), Some("a directory"));
        assert!(move_aside(&path("directory")).unwrap().join("below").is_dir());
        assert_eq!(fs::read(path("file")).unwrap(), b"content");
    }
}
