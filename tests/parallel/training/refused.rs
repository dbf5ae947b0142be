//! Jobs that cannot start or cannot continue: one message, whatever the number of ranks, and the right exit
//! code.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::digits::{JOB, assert_same_state, at_step, checkpoints, load};
use ternflock::checkpoint::verify;

use super::{ternflock, train, train_threads};
use crate::launch::Launcher;
use crate::running::Finished;

/// The only message of the ranks about the failure.
fn message(end: &Finished) -> &str {
    let said: Vec<_> = end.output.lines().filter(|line| line.starts_with("ternflock: ")).collect();
    let [message] = said.as_slice() else { panic!("{} messages, not one:\n{}", said.len(), end.output) };
    message
}

fn assert_holds(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "no `{part}` in {text}"));
}

/// The first step makes the parameters huge but finite; the second one reveals it, on every rank.
pub fn diverges(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let sets = ["optimizer.learning_rate=1e30", "checkpoint.every=1"];
    let end = train(launcher, ranks, &sets, directory.path(), &[]).finish().unwrap();
    assert_eq!(end.code, Some(6), "{}", end.output);
    assert_holds(
        message(&end),
        &["step 1, rank 0: ", "the loss is", "the output of layer `conv2` holds ", "learning rate"],
    );
    assert_eq!(end.output.matches("step 1, rank").count(), 1, "{}", end.output);
    verify(at_step(directory.path(), 1)).unwrap();
}

pub fn bad_job(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let end = train(launcher, ranks, &["train.stepps=3"], &run, &[]).finish().unwrap();
    assert_eq!(end.code, Some(2), "{}", end.output);
    assert_holds(message(&end), &["--set train.stepps=3: ", "unknown key", "did you mean `steps`"]);
    assert!(!run.exists());
}

/// A difference from the run's own job ends every rank, with one list. Without a difference, the run continues as it
/// began.
pub fn changed_job(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path();
    let started = ["train.steps=4", "checkpoint.every=2", "checkpoint.keep=5", "exchange.gradients=float32"];
    let end = train(launcher, ranks, &started, run, &[]).finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    let whole = load(run, 4);
    fs::remove_file(at_step(run, 4)).unwrap();

    let end = train(launcher, ranks, &["train.steps=3"], run, &["--resume"]).finish().unwrap();
    assert_eq!(end.code, Some(2), "{}", end.output);
    assert_holds(message(&end), &["this run cannot continue as it began"]);
    let line = "train.steps: 4 in the run, 3 requested (--set train.steps=3)";
    assert_eq!(end.output.matches(line).count(), 1, "{}", end.output);
    assert_eq!(checkpoints(run), ["best.h5", "step-0000000002.h5"]);

    let run_dir = run.to_str().unwrap();
    for words in [&["train", "--resume", run_dir][..], &["train", JOB, "--resume", run_dir]] {
        let end = ternflock(launcher, ranks, words).finish().unwrap();
        assert_eq!(end.code, Some(0), "{}", end.output);
        assert_same_state(&load(run, 4), &whole);
        fs::remove_file(at_step(run, 4)).unwrap();
    }
}

/// Space for two checkpoints of 125 kB and the small files, but not for a third. With more space the run
/// continues as if nothing had happened.
pub fn full_disk(launcher: &Launcher, ranks: usize) {
    let (disk, straight) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(mount) = Mount::tmpfs(disk.path(), "320k") else {
        return println!("skipped: mounting a tmpfs is not permitted here; run as root to test full disks");
    };
    let run = disk.path().join("run");
    let sets = ["train.steps=5", "checkpoint.every=1", "checkpoint.keep=5", "checkpoint.best=false"];
    let end = train(launcher, ranks, &sets, &run, &[]).finish().unwrap();
    assert_eq!(end.code, Some(4), "{}", end.output);
    assert_holds(message(&end), &["step-0000000003.h5: cannot be saved: ", "No space left on device"]);
    assert_eq!(checkpoints(&run), ["step-0000000001.h5", "step-0000000002.h5"]);
    [1, 2].into_iter().for_each(|step| verify(at_step(&run, step)).unwrap());

    mount.resize("2m");
    let end = train(launcher, ranks, &sets, &run, &["--resume"]).finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    train_threads(ranks, &sets, straight.path());
    assert_same_state(&load(&run, 5), &load(straight.path(), 5));
}

/// A tmpfs, mounted for the lifetime of this value.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    /// A tmpfs of `size` at `path`; none if mounting is not permitted.
    fn tmpfs(path: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(path).output();
        output.is_ok_and(|output| output.status.success()).then_some(Mount(path))
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0).status();
        // A second panic would hide the first.
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}
