//! Runs other programs, each only as long as it makes progress.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ternflock_base::child::end_with_parent;
use ternflock_base::io::{create_file, create_log, open_regular, read_start};

/// How long a program may run without progress.
pub const DEADLINE: Duration = Duration::from_secs(600);
/// The maximum number of bytes read from the program's error messages.
const MOST_COMPLAINTS: u64 = 1 << 16;
const POLL: Duration = Duration::from_millis(20);
/// The interval between two checks of the progress.
const LOOK: Duration = Duration::from_millis(200);

/// Measures the progress of a program, with limits for the time without progress and for the amount.
pub struct Watch<'a> {
    deadline: Duration,
    /// A number that grows as the program makes progress: the number of bytes written, if it is known.
    look: &'a mut dyn FnMut() -> u64,
    /// The maximum allowed value of this number.
    most: u64,
}

impl<'a> Watch<'a> {
    /// A watch that calls `look` several times a second, and once at the end.
    pub fn new(deadline: Duration, look: &'a mut dyn FnMut() -> u64) -> Watch<'a> {
        Watch { deadline, look, most: u64::MAX }
    }

    /// The same, for a program that is killed once it has written more than `most` bytes.
    pub fn at_most(self, most: u64) -> Watch<'a> {
        Watch { most, ..self }
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
    // Temporary files of the program are deleted with `scratch`, and their size counts.
    command.args(arguments).current_dir(scratch).env("TMPDIR", scratch).stdout(Stdio::null());
    finish(&mut command, program, scratch, watch)
}

/// Writes the output of `command`, which messages call `program`, to a new file at `path`. Stops when the command ends,
/// when `deadline` passes without output, or when the output exceeds `most` bytes.
pub fn print_to(
    path: &Path,
    command: &mut Command,
    program: &str,
    scratch: &Path,
    deadline: Duration,
    most: u64,
) -> Result<(), String> {
    // A file, not a pipe: nobody has to read while the program is waited for.
    command.stdout(create_file(path, 0o666).map_err(|error| format!("{}: {error}", path.display()))?);
    let mut look = || fs::metadata(path).map_or(0, |data| data.len());
    finish(command, program, scratch, &mut Watch::new(deadline, &mut look).at_most(most))
}

fn finish(command: &mut Command, program: &str, scratch: &Path, watch: &mut Watch) -> Result<(), String> {
    let complaints = scratch.join("complaints.txt");
    let stderr = create_log(&complaints).map_err(|error| format!("{}: {error}", complaints.display()))?;
    end_with_parent(command, libc::SIGKILL);
    let child = command.stdin(Stdio::null()).stderr(stderr).spawn();
    let outcome = match child {
        Ok(mut child) => wait(&mut child, watch),
        Err(error) if error.kind() == ErrorKind::NotFound => Err("is not installed".into()),
        Err(error) => Err(format!("cannot be started: {error}")),
    };
    outcome.map_err(|reason| {
        let complaints = open_regular(&complaints).and_then(|file| read_start(file, MOST_COMPLAINTS));
        let complaints = complaints.unwrap_or_default();
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
                let now = (watch.look)();
                return match status.success() {
                    true if now > watch.most => Err(too_much(watch.most)),
                    true => Ok(()),
                    false => Err(format!("failed ({status})")),
                };
            }
            Ok(None) if farther.elapsed() < watch.deadline => std::thread::sleep(POLL),
            Ok(None) => {
                end(child);
                return Err(format!("took longer than {} s", watch.deadline.as_secs_f32()));
            }
            Err(error) => return Err(format!("cannot be watched: {error}")),
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            let now = (watch.look)();
            if now > watch.most {
                end(child);
                return Err(too_much(watch.most));
            }
            if now > most {
                (most, farther) = (now, looked);
            }
        }
    }
}

fn end(child: &mut Child) {
    // If the program has just ended by itself, there is nothing to kill or to wait for.
    let _ = child.kill().and_then(|()| child.wait());
}

fn too_much(most: u64) -> String {
    format!("has written more than {most} bytes, the maximum for this data set")
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

    #[test]
    fn a_program_that_writes_too_much_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("out");
        let print = |script: &str| {
            let _ = fs::remove_file(&path);
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            print_to(&path, &mut command, "sh", scratch.path(), DEADLINE, 1000)
        };
        assert_eq!(print("printf 1"), Ok(()));
        let reason = "sh has written more than 1000 bytes, the maximum for this data set";
        // One program runs forever; the other ends before it is checked.
        assert_eq!(print("while :; do printf %1000s x; sleep 0.01; done").unwrap_err(), reason);
        assert_eq!(print("printf %1001s x").unwrap_err(), reason);
    }
}
