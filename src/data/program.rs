//! Runs other programs, each only as long as it makes progress.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::child::end_with_parent;

/// How long a program may run without progress.
pub const DEADLINE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(20);
/// The interval between two checks of the progress.
const LOOK: Duration = Duration::from_millis(200);

/// The progress of a program, and how long it may run without any.
pub struct Watch<'a> {
    deadline: Duration,
    /// A number that grows as the program makes progress.
    look: &'a mut dyn FnMut() -> u64,
}

impl<'a> Watch<'a> {
    /// A watch that calls `look` several times a second, and once at the end.
    pub fn new(deadline: Duration, look: &'a mut dyn FnMut() -> u64) -> Watch<'a> {
        Watch { deadline, look }
    }
}

/// Runs `program` in `scratch` until it ends or stops making progress. An error contains the program's own message.
pub fn run<Argument: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = Argument>,
    scratch: &Path,
    watch: &mut Watch,
) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(scratch).stdout(Stdio::null());
    finish(&mut command, program, scratch, watch)
}

/// The output of `command`, which messages call `program`, until it ends or `deadline` has passed; otherwise like
/// [`run`].
pub fn printed(
    command: &mut Command,
    program: &str,
    scratch: &Path,
    deadline: Duration,
) -> Result<Vec<u8>, String> {
    // A file, not a pipe: nobody has to read while the program is waited for.
    let path = scratch.join("printed.txt");
    let blame = |error| format!("{}: {error}", path.display());
    command.stdout(File::create(&path).map_err(blame)?);
    finish(command, program, scratch, &mut Watch::new(deadline, &mut || 0))?;
    fs::read(&path).map_err(blame)
}

fn finish(command: &mut Command, program: &str, scratch: &Path, watch: &mut Watch) -> Result<(), String> {
    let complaints = scratch.join("complaints.txt");
    let stderr = File::create(&complaints).map_err(|error| format!("{}: {error}", complaints.display()))?;
    end_with_parent(command, libc::SIGKILL);
    let child = command.stdin(Stdio::null()).stderr(stderr).spawn();
    let outcome = match child {
        Ok(mut child) => wait(&mut child, watch),
        Err(error) if error.kind() == ErrorKind::NotFound => Err("is not installed".into()),
        Err(error) => Err(format!("cannot be started: {error}")),
    };
    outcome.map_err(|reason| {
        let complaints = fs::read(&complaints).unwrap_or_default();
        let complaints = String::from_utf8_lossy(&complaints);
        let first = complaints.lines().map(str::trim).filter(|line| !line.is_empty()).take(3);
        std::iter::once(format!("{program} {reason}"))
            .chain(first.map(str::to_owned))
            .collect::<Vec<_>>()
            .join("; ")
    })
}

/// Waits for `child`, and kills it if it makes no progress for too long.
fn wait(child: &mut Child, watch: &mut Watch) -> Result<(), String> {
    let (mut farther, mut looked, mut most) = (Instant::now(), Instant::now(), 0);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                (watch.look)();
                return if status.success() { Ok(()) } else { Err(format!("failed ({status})")) };
            }
            Ok(None) if farther.elapsed() < watch.deadline => std::thread::sleep(POLL),
            Ok(None) => {
                // It may have ended by itself just now; then there is nothing left to kill or to wait for.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("took longer than {} s", watch.deadline.as_secs_f32()));
            }
            Err(error) => return Err(format!("was lost sight of: {error}")),
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            let now = (watch.look)();
            if now > most {
                (most, farther) = (now, looked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_the_programs_words() {
        let scratch = tempfile::tempdir().unwrap();
        let run = |script| run("sh", ["-c", script], scratch.path(), &mut Watch::new(DEADLINE, &mut || 0));
        assert_eq!(run("exit 0"), Ok(()));
        let reason = run("echo not this; echo E: no such package >&2; exit 7").unwrap_err();
        assert_eq!(reason, "sh failed (exit status: 7); E: no such package");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let mut watch = || 0;
        let mut watch = Watch::new(DEADLINE, &mut watch);
        let reason = run("ternflock-no-such-program", [""; 0], scratch.path(), &mut watch).unwrap_err();
        assert_eq!(reason, "ternflock-no-such-program is not installed");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let run = |time: &str, look: &mut dyn FnMut() -> u64| {
            run("sleep", [time], scratch.path(), &mut Watch::new(Duration::from_millis(1500), look))
        };
        assert_eq!(run("60", &mut || 7).unwrap_err(), "sleep took longer than 1.5 s");
        assert!(start.elapsed() < Duration::from_secs(30));
        // A program that makes progress may take longer.
        let mut far = 0;
        let mut look = || {
            far += 1;
            far
        };
        assert_eq!(run("3", &mut look), Ok(()));
    }
}
