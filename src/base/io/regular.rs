//! Regular files, opened without blocking.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opens the regular file at `path`, or the one it links to, for reading.
///
/// # Errors
/// If it cannot be opened, or if it is a directory, FIFO, socket or device.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let (file, kind) = open_at_once(path)?;
    if kind.is_file() { Ok(file) } else { Err(refused_input(kind)) }
}

/// Reads the regular file at `path`, at most `limit` bytes.
///
/// # Errors
/// As for [`open_regular`]; also if it cannot be read or has more bytes.
pub fn read_bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_at_most(open_regular(path)?, limit)
}

/// Reads the regular file at `path` as text, at most `limit` bytes.
///
/// # Errors
/// As for [`open_regular`]; also if it cannot be read, has more bytes or is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let bytes = read_bytes(path, limit)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Reads the first bytes of `input`: `limit` of them, or as many as there are.
///
/// # Errors
/// Those of reading.
pub fn read_start(input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads all of `input`, at most `limit` bytes.
pub(super) fn read_at_most(input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let bytes = read_start(input, limit.saturating_add(1))?;
    if bytes.len() as u64 > limit {
        let message = format!("it has more than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Opens without waiting for a writer and without making a terminal the controlling terminal. Later reads block as usual.
pub(super) fn open_at_once(path: &Path) -> io::Result<(File, FileType)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let kind = file.metadata()?.file_type();
    // SAFETY: the descriptor is open, and its flags are numbers.
    let cleared = unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        flags >= 0 && libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) >= 0
    };
    if cleared { Ok((file, kind)) } else { Err(io::Error::last_os_error()) }
}

/// Opens the file at `path` for writing with `options`. Does not follow a symbolic link.
pub(super) fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let opened = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    match opened {
        Ok(file) => {
            let kind = file.metadata()?.file_type();
            if kind.is_file() { Ok(file) } else { Err(refused(kind)) }
        }
        // The error for a link, or for a FIFO without a reader, names the type, which helps more than the system's message.
        Err(error) => Err(check_own(path).err().unwrap_or(error)),
    }
}

/// Refuses a `path` that exists and is not a regular file. A symbolic link is refused too.
pub(super) fn check_own(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(there) if !there.is_file() => Err(refused(there.file_type())),
        _ => Ok(()),
    }
}

/// The description of an entry of `kind`, unless it is a regular file.
pub(super) fn describe(kind: FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a directory"),
        kind if kind.is_symlink() => Some("a symbolic link"),
        kind if kind.is_fifo() => Some("a named pipe (FIFO)"),
        kind if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

/// The error that an entry of `kind` is not a regular file.
fn refused(kind: FileType) -> io::Error {
    if kind.is_dir() {
        return io::Error::from_raw_os_error(libc::EISDIR);
    }
    let what = describe(kind).unwrap_or("a file");
    let message = match kind.is_symlink() {
        true => format!(
            "it is {what}, and files are not written through one: remove it, or use the path that it leads to"
        ),
        false => format!("it is {what}, but a regular file is needed"),
    };
    io::Error::new(io::ErrorKind::Unsupported, message)
}

/// Like [`refused`], for a file to be read.
pub(super) fn refused_input(kind: FileType) -> io::Error {
    if kind.is_dir() {
        return refused(kind);
    }
    let hint = "to use the output of a command, use /dev/stdin or write it to a file";
    io::Error::new(io::ErrorKind::Unsupported, format!("{}; {hint}", refused(kind)))
}

#[cfg(test)]
pub(super) mod tests {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::io::read_input;

    /// Makes a FIFO at `path`.
    pub fn make_fifo(path: &Path) {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the path ends in NUL.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    }

    #[test]
    fn only_regular_files_are_read_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "content").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        make_fifo(&path("fifo"));
        std::os::unix::fs::symlink("fifo", path("link to fifo")).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        for name in ["file", "link"] {
            let mut text = String::new();
            open_regular(&path(name)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(
                (text.as_str(), read_input(&path(name), 7).unwrap()),
                ("content", b"content".to_vec())
            );
        }
        for (path, part) in [
            (path("fifo"), "it is a named pipe (FIFO), but a regular file is needed"),
            (path("link to fifo"), "it is a named pipe (FIFO)"),
            (directory.path().into(), "Is a directory"),
            ("/dev/zero".into(), "it is a device"),
            ("/dev/null".into(), "it is a device"),
            (path("socket"), ""),
            (path("nowhere"), "No such file"),
        ] {
            for error in [open_regular(&path).map(drop), read_input(&path, 7).map(drop)] {
                let message = error.unwrap_err().to_string();
                assert!(message.contains(part), "{}: {message}", path.display());
            }
        }
    }

    #[test]
    fn no_more_is_read_than_is_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "content").unwrap();
        let message = read_input(&path, 6).unwrap_err().to_string();
        assert_eq!(message, "it has more than 6 bytes");
    }
}
