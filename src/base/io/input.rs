//! Reads files and streams that a user has named.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::regular::{open_at_once, read_at_most, refused_input};

/// Set by [`stop_waiting_when`]. Static, because signals belong to the process.
static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Milliseconds between two checks of [`STOP`] during a wait.
const LOOK: i32 = 100;

/// From now on, waits for a stream end while `stop` is true. A signal handler sets `stop`, so that a signal just before a
/// wait also ends it. Only the first call has an effect.
pub fn stop_waiting_when(stop: Arc<AtomicBool>) {
    let _ = STOP.set(stop);
}

/// Opens the regular file at `path`, or the stream if `path` names a descriptor of this process. A signal with a handler
/// ends the wait for a stream. After [`stop_waiting_when`], this also holds for a signal before the wait.
///
/// # Errors
/// As for [`super::open_regular`]; also if the descriptor refers to a device other than a terminal.
pub fn open_input(path: &Path) -> io::Result<Input> {
    let (file, kind) = open_at_once(path)?;
    let stream = kind.is_fifo() || kind.is_socket() || kind.is_char_device() && file.is_terminal();
    match kind.is_file() {
        true => Ok(Input::Regular(file)),
        false if stream && names_descriptor(path) => Ok(Input::Stream(file)),
        false if names_descriptor(path) && !kind.is_dir() => Err(no_stream()),
        false => Err(refused_input(kind)),
    }
}

/// Reads all of the file or stream that [`open_input`] opens at `path`, at most `limit` bytes.
///
/// # Errors
/// As for [`open_input`]; also if reading fails or there are more bytes.
pub fn read_input(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_at_most(open_input(path)?, limit)
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

/// Waits until `file` has data or has ended, or until `stopped` reports a signal. `read` would be retried after a signal,
/// so the error here has a kind that is not retried.
fn wait_for(file: &File, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    let mut wait = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: the call fills one `pollfd`, which it borrows.
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

/// Whether `path` is `/dev/stdin`, `/dev/fd/N` or `/proc/self/fd/N`.
fn names_descriptor(path: &Path) -> bool {
    let descriptors = ["/dev/fd", "/proc/self/fd"];
    path == Path::new("/dev/stdin")
        || path.parent().is_some_and(|at| descriptors.iter().any(|of| at == Path::new(of)))
}

/// The error that a descriptor of this process is not a stream. The usual case is standard input on a rank other than 0.
fn no_stream() -> io::Error {
    let message = "it is a device, not a pipe: mpirun gives its standard input only to rank 0, so write the \
        data to a file that all ranks can read, and use that file";
    io::Error::new(io::ErrorKind::Unsupported, message)
}

/// A second descriptor of the open file that `path` names, if `path` is `/dev/stdout`, `/dev/stderr`, `/dev/fd/N` or
/// `/proc/self/fd/N`. Opening the path again would start at the beginning of a file to which output is redirected.
pub(super) fn descriptor(path: &Path) -> Option<io::Result<File>> {
    let number = match path.to_str()? {
        "/dev/stdout" => 1,
        "/dev/stderr" => 2,
        text if names_descriptor(path) => text.rsplit('/').next()?.parse().ok()?,
        _ => return None,
    };
    // SAFETY: the number is only looked up; only the `File` owns the new descriptor.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    Some(match copy {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: as above.
        _ => Ok(unsafe { File::from_raw_fd(copy) }),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::io::open_regular;

    #[test]
    fn a_pipe_is_read_where_its_descriptor_is_named() {
        let (reader, mut writer) = io::pipe().unwrap();
        let written = std::thread::spawn(move || writer.write_all(&[7; 100_000]));
        let paths = ["/dev/fd", "/proc/self/fd"].map(|at| Path::new(at).join(reader.as_raw_fd().to_string()));
        assert!(open_regular(&paths[0]).unwrap_err().to_string().contains("named pipe"));
        let mut half = vec![0; 50_000];
        open_input(&paths[0]).unwrap().read_exact(&mut half).unwrap();
        assert_eq!(half, vec![7; 50_000]);
        // The other end is closed after everything is written. Until then, this end is open twice.
        assert_eq!(read_input(&paths[1], 50_000).unwrap(), vec![7; 50_000]);
        written.join().unwrap().unwrap();
    }

    #[test]
    fn a_signal_that_came_before_the_wait_ends_it() {
        let (reader, mut writer) = io::pipe().unwrap();
        let file = open_at_once(&Path::new("/dev/fd").join(reader.as_raw_fd().to_string())).unwrap().0;
        let message = wait_for(&file, &|| true).unwrap_err().to_string();
        assert_eq!(message, "a signal interrupted the wait for it");
        // Available data can be read without waiting.
        writer.write_all(b"x").unwrap();
        wait_for(&file, &|| true).unwrap();
    }
}
