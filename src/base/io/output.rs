//! Files that this program writes: outputs, growing files, and files that must be new.
//!
//! Symbolic links are not followed, because the target may belong to anyone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::directory::{parent, sync};
use super::input::descriptor;
use super::partial::replace;
use super::regular::open_own;

/// Writes `content` to the output that the user named `path`: a file, which is replaced atomically, or a descriptor of this
/// process such as `/dev/stdout`.
///
/// # Errors
/// Those of [`replace`], and of writing to the descriptor.
pub fn write_output(path: &Path, content: &[u8]) -> io::Result<()> {
    match descriptor(path) {
        Some(open) => open?.write_all(content),
        None => replace(path, |mut file| file.write_all(content)),
    }
}

/// Creates the file at `path` with `content`, unless the name exists. Removes the file again if writing fails.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if the name exists, whatever it is; otherwise the error of writing.
pub fn create_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = create_file(path, 0o666)?;
    file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| sync(parent(path))).inspect_err(
        |_| {
            let _ = fs::remove_file(path);
        },
    )
}

/// Creates an empty file at `path` for writing, unless the name exists. The permissions are `mode` minus the umask.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if the name exists, whatever it is.
pub fn create_file(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Renames the file at `from` to `to` in the same directory, replaces an existing file, and waits until the directory is on
/// the disk.
///
/// # Errors
/// If the file cannot be renamed or the directory cannot be synced.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync(parent(to))
}

/// Opens the file at `path` for appending. Creates it if necessary.
///
/// # Errors
/// If the file cannot be opened, or if it is a symbolic link or not a regular file.
pub fn open_append(path: &Path) -> io::Result<File> {
    open_own(path, OpenOptions::new().append(true).create(true))
}

/// Creates the file at `path`, or truncates the regular file there. For output that is useful while it grows, such as a
/// log.
///
/// # Errors
/// As for [`open_append`].
pub fn create_log(path: &Path) -> io::Result<File> {
    let file = open_own(path, OpenOptions::new().write(true).create(true))?;
    // Truncate only after the type of the file has been checked.
    file.set_len(0)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::io::partial::temporary_name;
    use crate::io::partial::tests::names;
    use crate::io::regular::tests::make_fifo;

    /// Links with the final or the temporary name are not followed.
    #[test]
    fn links_are_never_written_through() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("outside"), "mine").unwrap();
        let targets = ["outside", "nowhere", "link"];
        for target in targets {
            symlink(target, path("link")).unwrap();
            let refusals = [
                replace(&path("link"), |_| Ok(())),
                write_output(&path("link"), b"x"),
                create_new(&path("link"), b"x"),
                open_append(&path("link")).map(drop),
                create_log(&path("link")).map(drop),
            ];
            for (number, refusal) in refusals.into_iter().enumerate() {
                let message = refusal.unwrap_err().to_string();
                let reason = if number == 2 { "File exists" } else { "it is a symbolic link" };
                assert!(message.contains(reason), "{number} to {target}: {message}");
            }
            fs::remove_file(path("link")).unwrap();
            let temporary = temporary_name(&path("file")).unwrap();
            symlink(target, &temporary).unwrap();
            replace(&path("file"), |mut file| file.write_all(b"new")).unwrap();
            assert_eq!(fs::read(path("file")).unwrap(), b"new");
        }
        assert_eq!(fs::read(path("outside")).unwrap(), b"mine");
        assert_eq!(names(directory.path()), ["file", "outside"]);
    }

    #[test]
    fn only_regular_files_are_written_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        make_fifo(&path("fifo"));
        fs::create_dir(path("directory")).unwrap();
        for (path, reason) in [
            (path("fifo"), "it is a named pipe (FIFO)"),
            (path("directory"), "Is a directory"),
            ("/dev/null".into(), "it is a device"),
        ] {
            for refusal in
                [write_output(&path, b"x"), open_append(&path).map(drop), create_log(&path).map(drop)]
            {
                let message = refusal.unwrap_err().to_string();
                assert!(message.contains(reason), "{}: {message}", path.display());
            }
        }
    }

    #[test]
    fn what_is_there_is_kept_until_it_is_known_to_be_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create_new(&path, b"one").unwrap();
        assert_eq!(create_new(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        open_append(&path).unwrap().write_all(b" two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one two");
        create_log(&path).unwrap().write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_descriptor_of_this_process_is_an_output() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        let (mut reader, writer) = io::pipe().unwrap();
        write_output(&Path::new("/dev/fd").join(writer.as_raw_fd().to_string()), b"picture").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "picture");
        assert!(write_output(Path::new("/dev/fd/9999"), b"x").is_err());
    }
}
