//! Counts how jobs with a fault ended, and each kind of failure.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use support::digits::at_step;

use super::{Ended, Fault, Kind, LIMIT, SETS, STEPS, TIMEOUT, is_gone, resume, suffer};
use crate::launch::Launcher;
use crate::running::{self, Running, processes_of};
use crate::training::train;

/// Messages of programs and launchers about a process that crashed.
const CRASHES: [&str; 6] = ["panicked", "signal 11", "Segmentation fault", "signal 6", "Aborted", "signal 4"];

/// Their messages about a process that was killed or that others wait for, including the launcher's messages about ranks
/// that died before they joined.
const REASONS: [&str; 6] = ["is late", "late, stopped or dead", "signal 9", "SIGNAL 9", "Killed", "daemon"];

/// The failures.
#[derive(Default)]
pub struct Tally {
    faults: usize,
    starting: usize,
    harmless: usize,
    unnoticed: usize,
    /// Jobs whose launcher did not end after its ranks: the mpirun of Open MPI 4.1.4 sometimes sleeps in a futex with no
    /// process left to wait for.
    launcher: usize,
    slowest: Duration,
    crash: Vec<String>,
    hang: Vec<String>,
    over_limit: Vec<String>,
    silent: Vec<String>,
    left_running: Vec<String>,
    other_bits: Vec<String>,
}

impl Tally {
    /// Inflicts `fault` on a job and resumes it. `straight` holds the quiet run.
    pub fn add(&mut self, launcher: &Launcher, fault: Fault, straight: &Path) {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        let mut job = train(launcher, fault.ranks, &[&SETS[..], &[TIMEOUT]].concat(), &run, &[]);
        self.faults += 1;
        let ended = suffer(&mut job, fault).or_else(|| self.release(&mut job, fault, &run));
        let output = match ended {
            Some(ended) => self.judge(ended, fault, &run),
            None => {
                self.give_up(&job, fault, directory.path());
                job.kill().unwrap().output
            }
        };
        let blame = |what: &str| format!("{fault:?}: {what}\n{output}");
        if !is_gone(directory.path()) {
            self.left_running.push(blame("something is left running"));
        }
        if let Err(what) = resume(launcher, fault.ranks, &run, straight) {
            let blame = blame("does not go on as if nothing had happened");
            self.other_bits.push(format!("{blame}-- resumed\n{what}"));
        }
    }

    /// Judges the end of a job in `run`. Returns its output.
    fn judge(&mut self, ended: Ended, fault: Fault, run: &Path) -> String {
        self.starting += usize::from(!run.join("metrics.jsonl").exists());
        self.slowest = self.slowest.max(ended.after);
        let end = ended.end;
        let blame = |what: &str| format!("{fault:?}: {what}, code {:?}\n{}", end.code, end.output);
        if ended.after > LIMIT {
            self.over_limit.push(blame(&format!("took {:?}", ended.after)));
        }
        if CRASHES.iter().any(|crash| end.output.contains(crash)) {
            self.crash.push(blame("crashed"));
        }
        match end.code {
            Some(0) if at_step(run, STEPS).exists() => self.harmless += 1,
            Some(0) => self.silent.push(blame("success without a last checkpoint")),
            _ if !REASONS.iter().any(|reason| end.output.contains(reason)) => {
                self.silent.push(blame("no reason is given"));
            }
            _ => {}
        }
        end.output
    }

    /// Only the launcher waits for a rank that is stopped after all others have ended, and it has no deadline. That rank is
    /// the last one, so it is continued.
    fn release(&mut self, job: &mut Running, fault: Fault, run: &Path) -> Option<Ended> {
        if fault.kind != Kind::Stopped || !at_step(run, STEPS).exists() {
            return None;
        }
        let [victim] = job.ranks()[..] else { return None };
        running::signal(victim, libc::SIGCONT);
        let begin = Instant::now();
        let end = job.end_within(LIMIT)?;
        self.unnoticed += 1;
        Some(Ended { end, after: begin.elapsed() })
    }

    /// `job` does not end. If any of its ranks is left, that is a hang; otherwise the launcher has hung.
    fn give_up(&mut self, job: &Running, fault: Fault, directory: &Path) {
        let left: Vec<String> = processes_of(directory).into_iter().map(running::describe).collect();
        let what = format!("{fault:?}: no end; {}\n{}", left.join(", "), job.said());
        println!("does not end: {what}");
        match job.ranks().is_empty() {
            true => self.launcher += 1,
            false => self.hang.push(what),
        }
    }

    fn faults(&self) -> [(&str, &[String]); 6] {
        [
            ("crash", &self.crash),
            ("hang", &self.hang),
            ("over the limit", &self.over_limit),
            ("silent", &self.silent),
            ("left running", &self.left_running),
            ("other bits", &self.other_bits),
        ]
    }

    pub fn assert_none(&self) {
        let all: Vec<String> = self
            .faults()
            .iter()
            .flat_map(|(name, faults)| faults.iter().map(move |fault| format!("== {name}: {fault}")))
            .collect();
        assert!(all.is_empty(), "{self}\n{}", all.join("\n"));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.faults().map(|(name, faults)| format!("{name} {}", faults.len()));
        let Tally { faults, starting, harmless, unnoticed, launcher, slowest, .. } = self;
        write!(
            f,
            "{faults} done, {starting} of them before the run's first event, {harmless} complete all the same ({unnoticed} of them \
             stopped after all others had ended); the slowest end came after {:.1} s; {}, launcher that outlives its ranks {launcher}",
            slowest.as_secs_f64(),
            counts.join(", ")
        )
    }
}
