//! Standard output and standard error. Their readers may close them early or stop reading.

use std::fmt::Display;
use std::io::{Error as IoError, ErrorKind, Result, Write, stderr, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libc::{STDERR_FILENO, STDOUT_FILENO, c_int};

use super::signals;
use super::visible::visible;

/// The exit code of a command that did its work but could not print the result: EX_IOERR of BSD.
const UNPRINTED: u8 = 74;

/// How long to wait for a reader that does not read, after a signal has requested the end.
const GRACE: Duration = Duration::from_secs(10);

/// The same for the last message of a process.
const LAST: Duration = Duration::from_secs(1);

/// Milliseconds between two checks.
const LOOK: c_int = 100;

/// A pipe that is ready for writing has room for this many bytes.
const PART: usize = libc::PIPE_BUF;

/// Writes results to standard output. It is not an error if the reader closes the pipe early, as `head` does.
pub fn print(text: &str) -> ExitCode {
    print_or(text, "the command itself has succeeded")
}

/// Like [`print`]. If the write fails, the error includes `comfort`.
pub fn print_or(text: &str, comfort: &str) -> ExitCode {
    match write_out(&visible(text)) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            log(format_args!(
                "ternflock: standard output cannot be written: {error}; {comfort} (exit code {UNPRINTED})"
            ));
            UNPRINTED.into()
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Writes a part of a result to standard output as soon as it exists. Returns the exit code if the command ends here: that
/// of success if the reader has closed the pipe.
pub fn print_part(text: &str) -> std::result::Result<(), ExitCode> {
    match write_out(&visible(text)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ExitCode::SUCCESS),
        Err(error) => {
            log(format_args!(
                "ternflock: standard output cannot be written: {error}; the rest is not printed (exit code {UNPRINTED})"
            ));
            Err(UNPRINTED.into())
        }
    }
}

fn write_out(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    for part in text.as_bytes().chunks(PART) {
        if !has_room(STDOUT_FILENO, GRACE, signals::has_come) {
            return Err(IoError::other("a signal ended the wait for its reader"));
        }
        out.write_all(part).and_then(|()| out.flush())?;
    }
    Ok(())
}

/// Writes a line to standard error. If this fails, the work continues: the events of a run are also in
/// `metrics.jsonl`, and an error also has an exit code.
pub fn log(line: impl Display) {
    // One write, so that lines of several ranks do not mix. A longer line is split into parts that a ready
    // pipe accepts at once.
    let line = format!("{}\n", visible(&line.to_string()));
    let mut err = stderr().lock();
    for part in line.as_bytes().chunks(PART) {
        if !has_room(STDERR_FILENO, GRACE, signals::has_come) || err.write_all(part).is_err() {
            return;
        }
    }
}

/// Writes a line to standard error before this process ends. Bypasses the lock of `stderr` and does not wait long.
pub fn last_words(text: &str) {
    let line = format!("ternflock: {}\n", visible(text));
    if has_room(STDERR_FILENO, LAST, || true) {
        // SAFETY: the bytes live until the call returns. A failed write is ignored.
        unsafe { libc::write(STDERR_FILENO, line.as_ptr().cast(), line.len()) };
    }
}

/// Waits until a write to `descriptor` would not block. Returns false if `hurries` has held for `grace` without success.
fn has_room(descriptor: c_int, grace: Duration, hurries: impl Fn() -> bool) -> bool {
    let mut wait = libc::pollfd { fd: descriptor, events: libc::POLLOUT, revents: 0 };
    let mut since = None;
    loop {
        // SAFETY: the call fills one `pollfd`, which it borrows.
        if unsafe { libc::poll(&raw mut wait, 1, LOOK) } > 0 {
            return true;
        }
        if hurries() && since.get_or_insert_with(Instant::now).elapsed() >= grace {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_reader_that_does_not_read_is_waited_for_until_there_is_a_hurry() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let descriptor = writer.as_raw_fd();
        assert!(has_room(descriptor, Duration::ZERO, || true));
        // SAFETY: a plain system call on an open descriptor.
        let room = unsafe { libc::fcntl(descriptor, libc::F_GETPIPE_SZ) };
        writer.write_all(&vec![b'.'; room.try_into().unwrap()]).unwrap();
        let begin = Instant::now();
        let hurries = || begin.elapsed() > Duration::from_millis(300);
        assert!(!has_room(descriptor, Duration::from_millis(200), hurries));
        assert!(begin.elapsed() >= Duration::from_millis(500));
        // Without a reader, a write fails at once.
        drop(reader);
        assert!(has_room(descriptor, Duration::ZERO, || true));
    }
}
