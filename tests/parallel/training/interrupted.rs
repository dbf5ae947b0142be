//! Jobs that are ended from outside while they train.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use support::digits::{assert_same_state, at_step, checkpoints, load};
use ternflock::checkpoint::verify;

use super::{BESIDE, BUCKETS, train, train_threads};
use crate::launch::Launcher;
use crate::running::{self, Running};

/// Far more steps than any of these jobs completes, at a learning rate that does not depend on their number.
const STEPS: &str = "train.steps=1000000000";
const ENDLESS: [&str; 6] =
    ["schedule.kind=fixed", "train.eval_every=0", "train.log_every=1", "checkpoint.every=5", BUCKETS, BESIDE];

/// The time in which a job must end after an interruption, far below the time that its ranks would wait for
/// each other.
pub const SOON_SECONDS: f64 = 20.0;

/// The step of the newest checkpoint.
pub fn newest(run: &Path) -> u64 {
    let step = |name: &String| name.strip_prefix("step-")?.strip_suffix(".h5")?.parse().ok();
    checkpoints(run).iter().filter_map(step).max().expect("a checkpoint")
}

/// A job of `ranks` in the middle of its training, steps beyond its last checkpoint.
pub fn under_way(launcher: &Launcher, ranks: usize, run: &Path, sets: &[&str]) -> Running {
    let mut job = train(launcher, ranks, &[&[STEPS], &ENDLESS[..], sets].concat(), run, &[]);
    let log = run.join("metrics.jsonl");
    let logged = |_: &Running| fs::read_to_string(&log).is_ok_and(|log| log.contains("\"step\":13,"));
    job.wait_until("step 13 is logged", logged);
    assert_eq!(job.ranks().len(), ranks);
    job
}

/// Exchanges after steps 1, 5, 9, 13, ...
const LOCAL_STEPS: [&str; 2] = ["exchange.every=4", "exchange.every_start=1"];

/// Continues the killed job in `run`, which was started with `sets`, for a few steps from its last checkpoint, and checks that it reaches the
/// state of an undisturbed run. Returns the step reached.
pub fn go_on_as_if_nothing_had_happened(launcher: &Launcher, ranks: usize, run: &Path, sets: &[&str]) -> u64 {
    let straight = tempfile::tempdir().unwrap();
    let last = newest(run) + 7;
    let steps = format!("train.steps={last}");
    let sets = [&[steps.as_str()], &ENDLESS[..], sets].concat();
    let end = train(launcher, ranks, &sets, run, &["--resume", "--allow-changes"]).finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    train_threads(ranks, &sets, straight.path());
    assert_same_state(&load(run, last), &load(straight.path(), last));
    last
}

/// Every process of the job is killed at once. A run that resumes from its last checkpoint ends like an
/// undisturbed one, with every step in its records once.
pub fn kill_and_resume(launcher: &Launcher, ranks: usize) {
    for (sets, every) in [(&[][..], 1), (&LOCAL_STEPS[..], 4)] {
        let killed = tempfile::tempdir().unwrap();
        under_way(launcher, ranks, killed.path(), sets).kill().unwrap();
        let last = go_on_as_if_nothing_had_happened(launcher, ranks, killed.path(), sets);

        let lines = fs::read_to_string(killed.path().join("metrics.jsonl")).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.filter(|line| line["event"] == "train");
        let trained: Vec<_> = lines.map(|line| line["step"].as_u64().unwrap()).collect();
        // A run always ends with an exchange.
        let mut expected: Vec<u64> = (1..=last).filter(|step| (step - 1) % every == 0).collect();
        expected.extend((expected.last() != Some(&last)).then_some(last));
        assert_eq!(trained, expected);
    }
}

/// One rank gets SIGTERM, as at the end of its time in a batch queue, or the launcher gets SIGUSR1, which it
/// forwards. With local steps, the next exchange is the end.
pub fn signal(launcher: &Launcher, ranks: usize) {
    for (to_launcher, sets) in [(false, &[][..]), (true, &[]), (false, &LOCAL_STEPS)] {
        let directory = tempfile::tempdir().unwrap();
        let job = under_way(launcher, ranks, directory.path(), sets);
        match to_launcher {
            true => running::signal(job.launcher(), libc::SIGUSR1),
            false => running::signal(job.ranks()[ranks - 1], libc::SIGTERM),
        }
        let end = job.finish().unwrap();
        assert_eq!(end.code, Some(75), "{}", end.output);
        let step = newest(directory.path());
        let sentence = format!(
            "a signal or the allocation's end stops the run after step {step}; --resume continues it"
        );
        assert_eq!(end.output.matches(&sentence).count(), 1, "not once `{sentence}`:\n{}", end.output);
        assert_eq!(load(directory.path(), step).progress.step, step);
        assert!(sets.is_empty() || step % 4 == 1, "{step}");
    }
}

/// The others do not wait for a rank that is gone.
pub fn rank_killed(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let job = under_way(launcher, ranks, directory.path(), &[]);
    let start = Instant::now();
    running::signal(job.ranks()[1], libc::SIGKILL);
    let end = job.finish().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds < SOON_SECONDS, "took {seconds} s:\n{}", end.output);
    assert_ne!(end.code, Some(0), "{}", end.output);
    verify(at_step(directory.path(), newest(directory.path()))).unwrap();
}
