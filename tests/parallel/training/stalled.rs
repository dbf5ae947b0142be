//! Jobs in which a rank stops without ending: the others name it, and go on or end.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::interrupted::{SOON_SECONDS, go_on_as_if_nothing_had_happened, newest, under_way};
use crate::launch::Launcher;
use crate::running::{self, Running};

/// A job in the middle of its training, rank `late` of which has been stopped.
fn stopped(launcher: &Launcher, ranks: usize, late: usize, run: &Path, timeout: &str) -> Running {
    let job = under_way(launcher, ranks, run, &["exchange.warn_after=0.4", timeout]);
    running::signal(job.ranks()[late], libc::SIGSTOP);
    job
}

/// How a line about rank `late` being so begins.
fn sentence(late: usize) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    format!("rank {late} on {} is late: rank ", host.trim())
}

/// Nobody is called late but rank `late`, and what is awaited from it is said.
fn assert_names(output: &str, late: usize) {
    let mut lines = output.lines().filter(|line| line.contains(" is late: "));
    assert!(lines.all(|line| line.contains(&sentence(late)) && line.contains("(step ")), "{output}");
}

/// After the warning the rank goes on, the run with it, and nothing of it is to be seen in the weights.
pub fn for_a_while(launcher: &Launcher, ranks: usize) {
    for late in [0, ranks - 1] {
        let directory = tempfile::tempdir().unwrap();
        let mut job = stopped(launcher, ranks, late, directory.path(), "exchange.timeout=60");
        job.wait_until("a warning", |job| job.said().contains(&sentence(late)));
        running::signal(job.ranks()[late], libc::SIGCONT);
        let before = newest(directory.path());
        job.wait_until("it goes on", |_| newest(directory.path()) > before);
        assert_names(&job.kill().unwrap().output, late);
        go_on_as_if_nothing_had_happened(launcher, ranks, directory.path());
    }
}

/// The others end the job at the deadline, and say why.
pub fn for_ever(launcher: &Launcher, ranks: usize) {
    for late in [0, ranks - 1] {
        let directory = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let end = stopped(launcher, ranks, late, directory.path(), "exchange.timeout=2").finish().unwrap();
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < SOON_SECONDS, "took {seconds} s:\n{}", end.output);
        assert_eq!(end.code, Some(7), "{}", end.output);
        assert_names(&end.output, late);
        // Once in a warning at least, and once at the end.
        assert!(end.output.matches(&sentence(late)).count() > 1, "{}", end.output);
    }
}
