//! Running other programs, none of them for ever.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest any one program may take.
pub const DEADLINE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(20);

/// Runs `program` in `scratch` until it ends or `deadline` has passed; a failure is told in the program's own words.
pub fn run<Argument: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = Argument>,
    scratch: &Path,
    deadline: Duration,
) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(scratch).stdout(Stdio::null());
    finish(&mut command, program, scratch, deadline)
}

/// What `command`, which messages call `program`, prints until it ends; as [`run`] in all else.
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
    finish(command, program, scratch, deadline)?;
    fs::read(&path).map_err(blame)
}

fn finish(command: &mut Command, program: &str, scratch: &Path, deadline: Duration) -> Result<(), String> {
    let complaints = scratch.join("complaints.txt");
    let stderr = File::create(&complaints).map_err(|error| format!("{}: {error}", complaints.display()))?;
    let child = command.stdin(Stdio::null()).stderr(stderr).spawn();
    let outcome = match child {
        Ok(mut child) => wait(&mut child, deadline),
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

/// Waits for `child`, and kills it when `deadline` has passed.
fn wait(child: &mut Child, deadline: Duration) -> Result<(), String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("failed ({status})")),
            Ok(None) if start.elapsed() < deadline => std::thread::sleep(POLL),
            Ok(None) => {
                // It may have ended by itself just now; then there is nothing left to kill or to wait for.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("took longer than {} s", deadline.as_secs_f32()));
            }
            Err(error) => return Err(format!("was lost sight of: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_the_programs_words() {
        let scratch = tempfile::tempdir().unwrap();
        let run = |script| run("sh", ["-c", script], scratch.path(), DEADLINE);
        assert_eq!(run("exit 0"), Ok(()));
        let reason = run("echo not this; echo E: no such package >&2; exit 7").unwrap_err();
        assert_eq!(reason, "sh failed (exit status: 7); E: no such package");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let reason = run("ternflock-no-such-program", [""; 0], scratch.path(), DEADLINE).unwrap_err();
        assert_eq!(reason, "ternflock-no-such-program is not installed");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let reason = run("sleep", ["60"], scratch.path(), Duration::from_millis(200)).unwrap_err();
        assert_eq!(reason, "sleep took longer than 0.2 s");
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
