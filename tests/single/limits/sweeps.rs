//! Sweeps with many runs, run as processes. The system reports their memory and time.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::jobs::WHOLE;
use crate::{HEAP, MOST_TIMES};

/// The memory limit of the program, which includes the memory of its threads and libraries at the start.
const MEMORY: u64 = 192 * 1024 * 1024 + HEAP as u64;

/// How a program ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
    /// Seconds of processor time.
    seconds: f64,
}

/// Runs `ternflock sweep` on a small job with `arguments`.
#[expect(clippy::zombie_processes, reason = "`wait4` waits for the child, and says what it took")]
fn sweep(arguments: &[String]) -> Ended {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::write(path("job.toml"), WHOLE).unwrap();
    let file = |name: &str| fs::File::create(path(name)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ternflock"));
    command.arg("sweep").arg("job.toml").args(arguments).current_dir(place.path());
    command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
    command.env_clear().env("OPENBLAS_NUM_THREADS", "1");
    for name in ["PATH", "HOME", "LD_LIBRARY_PATH"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    // SAFETY: between fork and exec the child only makes a system call.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: MEMORY, rlim_max: MEMORY };
            match libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let child = command.spawn().unwrap();
    let (mut status, mut usage) = (0, nothing_used());
    // SAFETY: the child belongs to this process and is not waited for elsewhere; the call fills both structures.
    let done = unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, &raw mut usage) };
    assert_eq!(done, child.id() as libc::pid_t);
    let seconds = |time: libc::timeval| time.tv_sec as f64 + 1e-6 * time.tv_usec as f64;
    let read = |name: &str| fs::read_to_string(path(name)).unwrap();
    Ended {
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        out: read("out"),
        err: read("err"),
        seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
    }
}

fn nothing_used() -> libc::rusage {
    // SAFETY: plain numbers, for which all zero is a value.
    unsafe { std::mem::zeroed() }
}

fn listed(count: usize) -> String {
    (1..=count).map(|i| i.to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn many_values_are_counted_and_not_made() {
    let keys = ["train.log_every", "train.eval_every", "train.global_batch", "checkpoint.keep"];
    let vary = keys.iter().flat_map(|key| ["--vary".to_owned(), format!("{key}={}", listed(99))]);
    let ended = sweep(&vary.chain(["--list".to_owned()]).collect::<Vec<_>>());
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(
        ended.err.contains("a sweep may have at most 10000 runs") && ended.err.contains("give 96059601"),
        "{}",
        ended.err
    );
    let seeds = sweep(&["--list".into(), "--seeds".into(), listed(20_000)]);
    assert!(seeds.code == Some(2) && seeds.err.contains("make 20000"), "{}", seeds.err);
}

#[test]
fn many_seeds_take_time_by_their_number() {
    let list = |seeds: usize| {
        let runs = (0..2).map(|_| sweep(&["--list".into(), "--seeds".into(), listed(seeds)]));
        let best = runs.min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap();
        assert_eq!((best.code, best.out.lines().count()), (Some(0), seeds), "{}", best.err);
        assert!(best.out.contains(&format!("{} runs/sweep/a/seed={seeds}", seeds - 1)), "{}", best.out);
        best.seconds
    };
    let (few, many) = (list(1000), list(4000));
    assert!(many <= MOST_TIMES * few.max(0.05), "{few} s for 1000 seeds, {many} s for 4000");
}

#[test]
fn long_values_are_no_names_of_directories() {
    let ended = sweep(&[
        "--list".into(),
        "--vary".into(),
        format!("optimizer.learning_rate=1.{}", "0".repeat(100_000)),
    ]);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(
        ended.err.contains("a name may have at most 255 bytes") && ended.err.len() < 1000,
        "{}",
        ended.err
    );
}
