//! Standard output and standard error, whose readers may leave before the program is done.

use std::fmt::Display;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;

use super::exit;
use crate::error::Error;

/// Writes results to standard output. A reader that has seen enough and left, as `head` does, is no failure.
pub fn print(text: &str) -> ExitCode {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            exit::fail(&Error::Usage(format!("standard output cannot be written: {error}")))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Writes a line to standard error. Where it cannot be written the work goes on: a run's events are in `metrics.jsonl`
/// too, and an error is also an exit code.
pub fn log(line: impl Display) {
    // One write, so that lines of several ranks do not mix.
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}
