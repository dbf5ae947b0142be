//! The program while it runs: waiting for its end and for its output, never longer than a deadline.

use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Finished;

/// A program that takes longer hangs; everything in these tests takes a second or two.
const DEADLINE: Duration = Duration::from_secs(90);

/// A process of the program; it is killed when this value is dropped.
pub struct Running(pub Child);

impl Running {
    /// Waits for its end and returns the exit code.
    pub fn end(&mut self) -> Option<i32> {
        wait_for("the program's end", || self.0.try_wait().unwrap()).code()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child is not waited for yet, so the number is still its own.
        assert_eq!(unsafe { libc::kill(self.0.id() as libc::pid_t, signal) }, 0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.0.kill().and_then(|()| self.0.wait().map(drop));
    }
}

/// Asks until there is an answer.
#[track_caller]
pub fn wait_for<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "no sign of {what} after {DEADLINE:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The program with its standard error as a pipe that is read line by line. Unread output blocks the program
/// as soon as the pipe is full, so a run that logs more than that cannot end unnoticed.
pub struct Watched {
    /// The program.
    pub running: Running,
    lines: Receiver<String>,
}

impl Watched {
    /// Starts `command`.
    pub fn start(mut command: Command) -> Watched {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        // Without a buffer: a line is read only on request.
        let (sender, lines) = sync_channel(0);
        thread::spawn(move || {
            for line in err.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Watched { running: Running(child), lines }
    }

    /// Reads up to the first line that contains `part`.
    #[track_caller]
    pub fn read_until(&self, part: &str) {
        let mut seen = String::new();
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            if line.contains(part) {
                return;
            }
            seen += &format!("{line}\n");
        }
        panic!("no line with `{part}`:\n{seen}");
    }

    /// Reads the rest and waits for the end.
    pub fn finish(mut self) -> Finished {
        let mut err = String::new();
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            err += &format!("{line}\n");
        }
        Finished { code: self.running.end(), out: String::new(), err }
    }
}

/// Runs `command` to its end.
pub fn finish(command: &mut Command) -> Finished {
    let [mut out, mut err] = [(); 2].map(|()| tempfile::tempfile().unwrap());
    command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let code = Running(command.spawn().unwrap()).end();
    let [out, err] = [&mut out, &mut err].map(|file| {
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    });
    Finished { code, out, err }
}
