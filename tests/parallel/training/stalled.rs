//! Jobs in which a rank stops without ending: the others name it, and continue or end.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::interrupted::{SOON_SECONDS, go_on_as_if_nothing_had_happened, newest, under_way};
use super::{ternflock, train};
use crate::launch::Launcher;
use crate::running::{self, Running};

/// A job in the middle of its training, rank `late` of which has been stopped.
fn stopped(launcher: &Launcher, ranks: usize, late: usize, run: &Path, timeout: &str) -> Running {
    let job = under_way(launcher, ranks, run, &["exchange.warn_after=0.4", timeout]);
    running::signal(job.ranks()[late], libc::SIGSTOP);
    job
}

/// The beginning of a line that reports rank `late`.
fn sentence(late: usize) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    format!("rank {late} on {} is late: rank ", host.trim())
}

/// Only rank `late` is reported as late, together with the message that is awaited from it.
fn assert_names(output: &str, late: usize) {
    let mut lines = output.lines().filter(|line| line.contains(" is late: "));
    assert!(lines.all(|line| line.contains(&sentence(late)) && line.contains("(step ")), "{output}");
}

/// After the warning the rank continues, and so does the run; the weights do not show the delay.
pub fn for_a_while(launcher: &Launcher, ranks: usize) {
    for late in [0, ranks - 1] {
        let directory = tempfile::tempdir().unwrap();
        let mut job = stopped(launcher, ranks, late, directory.path(), "exchange.timeout=60");
        job.wait_until("a warning", |job| job.said().contains(&sentence(late)));
        running::signal(job.ranks()[late], libc::SIGCONT);
        let before = newest(directory.path());
        job.wait_until("it goes on", |_| newest(directory.path()) > before);
        assert_names(&job.kill().unwrap().output, late);
        go_on_as_if_nothing_had_happened(launcher, ranks, directory.path(), &[]);
    }
}

/// The others end the job at the deadline and report why.
pub fn for_ever(launcher: &Launcher, ranks: usize) {
    for late in [0, ranks - 1] {
        let directory = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let end = stopped(launcher, ranks, late, directory.path(), "exchange.timeout=4").finish().unwrap();
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < SOON_SECONDS, "took {seconds} s:\n{}", end.output);
        assert_eq!(end.code, Some(7), "{}", end.output);
        assert_names(&end.output, late);
        // Once in a warning at least, and once at the end.
        assert!(end.output.matches(&sentence(late)).count() > 1, "{}", end.output);
    }
}

/// A job whose rank `late` was stopped as soon as it existed, before it could start MPI.
fn stopped_at_start(launcher: &Launcher, ranks: usize, late: usize, run: &Path, sets: &[&str]) -> Running {
    let mut job = train(launcher, ranks, sets, run, &[]);
    job.wait_until("all ranks are there", |job| job.ranks().len() == ranks);
    running::signal(job.ranks()[late], libc::SIGSTOP);
    job
}

/// Each rank except `late` reports that it waits in MPI.
fn assert_all_wait(output: &str, ranks: usize, late: usize) {
    for rank in 0..ranks {
        let name = format!("ternflock: rank {rank} of {ranks} on ");
        let is_it = |line: &str| {
            line.starts_with(&name) && line.contains(" has waited ") && line.contains(" in MPI_Init_thread: ")
        };
        assert_eq!(output.lines().any(is_it), rank != late, "rank {rank}:\n{output}");
    }
}

/// MPI itself has no deadline, but the other ranks still end the job.
pub fn at_start(launcher: &Launcher, ranks: usize) {
    for late in [0, ranks - 1] {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        let sets = ["exchange.warn_after=1", "exchange.timeout=3"];
        let end = stopped_at_start(launcher, ranks, late, &run, &sets).finish().unwrap();
        assert!(end.seconds < SOON_SECONDS, "took {} s:\n{}", end.seconds, end.output);
        assert_eq!(end.code, Some(7), "{}", end.output);
        assert_all_wait(&end.output, ranks, late);
        assert!(end.output.contains("and ends the job (exit code 7)"), "{}", end.output);
        assert!(!run.exists());
    }
}

/// A signal ends a rank that waits in MPI, however long the deadline.
pub fn at_start_signal(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let late = ranks - 1;
    let mut job = stopped_at_start(launcher, ranks, late, directory.path(), &["exchange.warn_after=1"]);
    job.wait_until("a warning", |job| job.said().contains("ternflock: rank 0 of"));
    let start = Instant::now();
    running::signal(job.ranks()[0], libc::SIGTERM);
    let end = job.finish().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds < SOON_SECONDS, "took {seconds} s:\n{}", end.output);
    assert_eq!(end.code, Some(128 + libc::SIGTERM), "{}", end.output);
    let sentence =
        "SIGTERM ended the start; nothing was done and nothing is lost (MPI_Init_thread, exit code 143)";
    assert!(end.output.contains(sentence), "{}", end.output);
}

/// The same for a command without a job: its own option sets the timeout.
pub fn at_start_of_bench(launcher: &Launcher, ranks: usize) {
    let words = ["bench", "allreduce", "--elements", "1e4", "--rounds", "1", "--timeout", "3"];
    let mut job = ternflock(launcher, ranks, &words);
    job.wait_until("all ranks are there", |job| job.ranks().len() == ranks);
    running::signal(job.ranks()[ranks - 1], libc::SIGSTOP);
    let end = job.finish().unwrap();
    assert!(end.seconds < SOON_SECONDS, "took {} s:\n{}", end.seconds, end.output);
    assert_eq!(end.code, Some(7), "{}", end.output);
    assert!(end.output.contains("and ends the job (exit code 7)"), "{}", end.output);
}

/// A launcher that does not answer does not keep a rank from ending: `MPI_Abort` asks it to end the job.
pub fn launcher(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let mut job = under_way(launcher, ranks, directory.path(), &["exchange.timeout=3"]);
    let (pid, late) = (job.launcher(), job.ranks()[1]);
    running::signal(pid, libc::SIGSTOP);
    running::signal(late, libc::SIGSTOP);
    job.wait_until("the other ranks end", |job| job.ranks() == [late]);
    running::signal(pid, libc::SIGCONT);
    let end = job.finish().unwrap();
    assert_ne!(end.code, Some(0), "{}", end.output);
    assert!(end.output.contains(&sentence(1)), "{}", end.output);
}

/// Rank 1 stops just before each of the calls without a deadline.
pub fn in_a_call(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("stop.so");
    let compiler = std::env::var("MPICC").unwrap_or_else(|_| "mpicc".into());
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parallel/stop.c");
    let built = Command::new(compiler).args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(built.expect("the MPI compiler that built this program").success());
    let preload = format!("LD_PRELOAD={}", library.display());
    let bench =
        ["bench", "allreduce", "--elements", "1e4", "--rounds", "1", "--timeout", "3", "--algorithms"];
    for (call, algorithm) in [
        ("MPI_Comm_dup", "ring_f32"),
        ("MPI_Comm_split_type", "ring_f32"),
        ("MPI_Allreduce", "mpi_allreduce_f32"),
        ("MPI_Finalize", "ring_f32"),
    ] {
        let stop = format!("TERNFLOCK_TEST_STOP={call}");
        let words = [&[&preload, &stop, env!("CARGO_BIN_EXE_ternflock")][..], &bench, &[algorithm]].concat();
        let end = launcher.start(ranks, Path::new("env"), &words).unwrap().finish().unwrap();
        assert!(end.seconds < SOON_SECONDS, "{call} took {} s:\n{}", end.seconds, end.output);
        assert_eq!(end.code, Some(7), "{call}: {}", end.output);
        let sentence = format!(" in {call} and ends the job (exit code 7)");
        assert!(end.output.contains(&sentence), "{call}: {}", end.output);
    }
}
