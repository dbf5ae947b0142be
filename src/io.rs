//! Opens files that a user has named, without blocking for ever: each file is opened once and must be regular.
//!
//! Opening a FIFO blocks until a process writes to it, and a device may have no end. A path is therefore opened without
//! blocking, and the check is made on the open file, not on the path, which may name another file by then. A stream is
//! read only if the user names one by the path of a descriptor of this process, such as `/dev/stdin` or the path that a
//! shell substitutes for `<(command)`.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// The argument of [`stop_waiting_when`]. Signals belong to the process, and so does this.
static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Milliseconds between two looks at [`STOP`] during a wait.
const LOOK: i32 = 100;

/// From now on no wait for a stream lasts while `stop` is true. A signal handler sets it, so that a signal just before a wait
/// ends that wait too. Only the first call has an effect.
pub fn stop_waiting_when(stop: Arc<AtomicBool>) {
    let _ = STOP.set(stop);
}

/// Opens the regular file at `path`, or the one it links to, for reading.
///
/// # Errors
/// If it cannot be opened, or if it is a directory, FIFO, socket or device.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let (file, kind) = open_at_once(path)?;
    if kind.is_file() { Ok(file) } else { Err(refused(kind)) }
}

/// Opens the regular file at `path`, or the stream if `path` names a descriptor of this process. A signal with a
/// handler ends the wait for a stream, whenever it comes if [`stop_waiting_when`] was called.
///
/// # Errors
/// As for [`open_regular`]; also if the descriptor is that of a device other than a terminal.
pub fn open_input(path: &Path) -> io::Result<Input> {
    let (file, kind) = open_at_once(path)?;
    let stream = kind.is_fifo() || kind.is_socket() || kind.is_char_device() && file.is_terminal();
    match kind.is_file() {
        true => Ok(Input::Regular(file)),
        false if stream && names_descriptor(path) => Ok(Input::Stream(file)),
        false if names_descriptor(path) && !kind.is_dir() => Err(no_stream()),
        false => Err(refused(kind)),
    }
}

/// Reads the regular file at `path` as text, at most `limit` bytes.
///
/// # Errors
/// As for [`open_regular`]; also if it cannot be read, has more bytes or is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let bytes = read_at_most(open_regular(path)?, limit)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Reads the whole file or stream that [`open_input`] opens at `path`, at most `limit` bytes.
///
/// # Errors
/// As for [`open_input`]; also if it cannot be read or has more bytes.
pub fn read_input(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_at_most(open_input(path)?, limit)
}

fn read_at_most(input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("it has more than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// An open file or stream.
#[derive(Debug)]
pub enum Input {
    /// A regular file.
    Regular(File),
    /// A pipe, a socket or a terminal.
    Stream(File),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::Regular(file) => file.read(buffer),
            Input::Stream(file) => {
                wait_for(file, &|| STOP.get().is_some_and(|stop| stop.load(Ordering::Relaxed)))?;
                file.read(buffer)
            }
        }
    }
}

/// Waits until `file` has data or has ended, or until `stopped` reports a signal. `read` would be retried after a signal;
/// the error here has a kind that is not retried.
fn wait_for(file: &File, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    let mut wait = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: one `pollfd` is lent for the call.
        let ready = unsafe { libc::poll(&raw mut wait, 1, LOOK) };
        let error = (ready < 0).then(io::Error::last_os_error);
        let interrupted = error.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::Interrupted);
        match error {
            _ if interrupted || ready == 0 && stopped() => {
                return Err(io::Error::other("a signal interrupted the wait for it"));
            }
            Some(error) => return Err(error),
            None if ready > 0 => return Ok(()),
            None => {}
        }
    }
}

/// Opens without waiting for a writer, and without making a terminal the controlling one. Later reads block as usual.
fn open_at_once(path: &Path) -> io::Result<(File, FileType)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let kind = file.metadata()?.file_type();
    // SAFETY: the descriptor is open, and its flags are numbers.
    let cleared = unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        flags >= 0 && libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) >= 0
    };
    if cleared { Ok((file, kind)) } else { Err(io::Error::last_os_error()) }
}

/// Whether `path` is `/dev/stdin`, `/dev/fd/N` or `/proc/self/fd/N`.
fn names_descriptor(path: &Path) -> bool {
    let descriptors = ["/dev/fd", "/proc/self/fd"];
    path == Path::new("/dev/stdin")
        || path.parent().is_some_and(|at| descriptors.iter().any(|of| at == Path::new(of)))
}

/// The error that a descriptor of this process is no stream: most often the standard input of all ranks but the first.
fn no_stream() -> io::Error {
    let message = "it is a device, not a pipe: mpirun gives its standard input to rank 0 alone, so write the data to a file that \
                   all ranks can read, and give that";
    io::Error::new(io::ErrorKind::Unsupported, message)
}

fn refused(kind: FileType) -> io::Error {
    if kind.is_dir() {
        return io::Error::from_raw_os_error(libc::EISDIR);
    }
    let what = match kind {
        kind if kind.is_fifo() => "a named pipe (FIFO)",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "no file",
    };
    let message = format!(
        "it is {what}, but a regular file is needed; write the output of a command to a file, or pipe it to a run of one rank \
         that reads /dev/stdin"
    );
    io::Error::new(io::ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn make_fifo(path: &Path) {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the path ends in NUL.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    }

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
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
    fn a_pipe_is_read_where_its_descriptor_is_named() {
        let (reader, mut writer) = io::pipe().unwrap();
        let written = std::thread::spawn(move || writer.write_all(&[7; 100_000]));
        let paths = ["/dev/fd", "/proc/self/fd"].map(|at| Path::new(at).join(reader.as_raw_fd().to_string()));
        assert!(open_regular(&paths[0]).unwrap_err().to_string().contains("named pipe"));
        let mut half = vec![0; 50_000];
        open_input(&paths[0]).unwrap().read_exact(&mut half).unwrap();
        assert_eq!(half, vec![7; 50_000]);
        // The other end is closed once everything is written; this end is open twice until then.
        assert_eq!(read_input(&paths[1], 50_000).unwrap(), vec![7; 50_000]);
        written.join().unwrap().unwrap();
    }

    #[test]
    fn a_signal_that_came_before_the_wait_ends_it() {
        let (reader, mut writer) = io::pipe().unwrap();
        let file = open_at_once(&Path::new("/dev/fd").join(reader.as_raw_fd().to_string())).unwrap().0;
        let message = wait_for(&file, &|| true).unwrap_err().to_string();
        assert_eq!(message, "a signal interrupted the wait for it");
        // What is there need not be waited for.
        writer.write_all(b"x").unwrap();
        wait_for(&file, &|| true).unwrap();
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
