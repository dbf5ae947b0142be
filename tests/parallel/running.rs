//! A job in progress: waiting for it, signals to it and its ranks, and its end.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A job that takes longer is ended.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long a job that is asked to end may take to do so.
const GRACE: Duration = Duration::from_secs(5);
/// How often a condition is checked.
const GLANCE: Duration = Duration::from_millis(5);

/// Variables by which launchers tell a process its rank.
const RANKS: [&str; 3] = ["OMPI_COMM_WORLD_RANK=", "PMIX_RANK=", "PMI_RANK="];

/// A launcher and its ranks. Dropping it before its end kills them.
pub struct Running {
    child: Child,
    /// Standard output and standard error are kept separate: a launcher may insert a line of one into a line
    /// of the other.
    streams: [File; 2],
    start: Instant,
}

/// How a job ended.
pub struct Finished {
    /// Exit code of the launcher; none if it was killed.
    pub code: Option<i32>,
    /// From start to end.
    pub seconds: f64,
    /// Standard output of all ranks, then their standard error.
    pub output: String,
}

impl Running {
    /// Starts `command`, a launcher's.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let (streams, start) = ([tempfile::tempfile()?, tempfile::tempfile()?], Instant::now());
        let [out, err] = &streams;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?);
        Ok(Running { child: command.spawn()?, streams, start })
    }

    /// The process id of the launcher.
    pub fn launcher(&self) -> u32 {
        self.child.id()
    }

    /// The process ids of the ranks, in rank order.
    pub fn ranks(&self) -> Vec<u32> {
        let mut ranks: Vec<_> =
            descendants(self.launcher()).into_iter().filter_map(|pid| Some((rank_of(pid)?, pid))).collect();
        ranks.sort_unstable();
        ranks.into_iter().map(|(_, pid)| pid).collect()
    }

    /// The process id of rank `rank`, if it is running.
    pub fn rank(&self, rank: usize) -> Option<u32> {
        descendants(self.launcher()).into_iter().find(|pid| rank_of(*pid) == Some(rank))
    }

    /// Whether the launcher has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the launcher can be waited for").is_some()
    }

    /// Waits for the end, at most `limit`.
    pub fn end_within(&mut self, limit: Duration) -> Option<Finished> {
        let start = Instant::now();
        while !self.has_ended() {
            if start.elapsed() > limit {
                return None;
            }
            thread::sleep(GLANCE);
        }
        self.wait().ok()
    }

    /// Waits for `condition`, at most until the deadline.
    ///
    /// # Panics
    /// If the job ends before it holds, or it never does.
    pub fn wait_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            let ended = self.child.try_wait().expect("the launcher can be waited for");
            if ended.is_some() || start.elapsed() > DEADLINE {
                panic!("waited in vain until {what}; the job said:\n{}", self.said());
            }
            thread::sleep(GLANCE);
        }
    }

    /// Kills the launcher and all processes that it has started, at once, and waits until none of them runs.
    pub fn kill(mut self) -> io::Result<Finished> {
        let all = self.kill_all();
        let finished = self.wait()?;
        let start = Instant::now();
        while all.iter().any(|pid| is_alive(*pid)) {
            assert!(start.elapsed() < DEADLINE, "processes {all:?} survive SIGKILL");
            thread::sleep(GLANCE);
        }
        Ok(finished)
    }

    /// Waits for the launcher. At the deadline, first asks it to end its job and then kills it.
    pub fn finish(mut self) -> io::Result<Finished> {
        self.wait()
    }

    fn wait(&mut self) -> io::Result<Finished> {
        let status = self.wait_for_status()?;
        Ok(Finished { code: status.code(), seconds: self.start.elapsed().as_secs_f64(), output: self.said() })
    }

    fn wait_for_status(&mut self) -> io::Result<ExitStatus> {
        let mut asked = false;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if !asked && self.start.elapsed() > DEADLINE {
                asked = true;
                io::Write::write_all(
                    &mut self.streams[1],
                    format!("\n[ended after {DEADLINE:?}]\n").as_bytes(),
                )?;
                signal(self.launcher(), libc::SIGTERM);
            }
            if self.start.elapsed() > DEADLINE + GRACE {
                self.kill_all();
            }
            thread::sleep(GLANCE);
        }
    }

    fn kill_all(&self) -> Vec<u32> {
        let all = [vec![self.launcher()], descendants(self.launcher())].concat();
        all.iter().for_each(|pid| signal(*pid, libc::SIGKILL));
        all
    }

    /// The output of the ranks so far.
    pub fn said(&self) -> String {
        self.streams.iter().map(read).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill_all();
            // Nothing more can be done about a launcher that cannot be waited for.
            let _ = self.child.wait();
        }
    }
}

/// The content of `file`. Its position is shared with the writers, so it must not be moved.
fn read(file: &File) -> String {
    let mut bytes = vec![0; file.metadata().expect("the output has a length").len() as usize];
    file.read_exact_at(&mut bytes, 0).expect("the output can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends `signal` to a process of a job in progress.
pub fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: a plain system call.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// The processes that `pid` has started, and those that these have.
fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<_> = processes().filter_map(|pid| Some((pid, stat(pid)?.1))).collect();
    let (mut all, mut next) = (vec![pid], 0);
    while let Some(parent) = all.get(next).copied() {
        all.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
        next += 1;
    }
    all.split_off(1)
}

/// State and parent of process `pid`.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before them may contain anything, including a closing bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The rank that process `pid` is, if it is one.
fn rank_of(pid: u32) -> Option<usize> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let value = |name: &&str| environment.split('\0').find_map(|variable| variable.strip_prefix(*name));
    RANKS.iter().find_map(value)?.parse().ok()
}

/// The running processes with the path `directory` in their command line.
pub fn processes_of(directory: &Path) -> Vec<u32> {
    let knows = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(&*directory.to_string_lossy()) && is_alive(*pid)
    };
    processes().filter(knows).collect()
}

/// The name and state of process `pid`, for a message about a process that does not end.
pub fn describe(pid: u32) -> String {
    let state = stat(pid).map_or('?', |(state, _)| state);
    let [name, place] = ["comm", "wchan"]
        .map(|file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default().trim().to_owned());
    let rank = rank_of(pid).map_or(String::new(), |rank| format!(", rank {rank}"));
    format!("{name} {pid}{rank}, state {state} in {place}")
}

fn processes() -> impl Iterator<Item = u32> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(number)
}

/// Whether process `pid` still runs; a zombie does not.
fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !"ZX".contains(state))
}
