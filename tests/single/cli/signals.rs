//! Interrupted runs: after a signal the run finishes the step and saves a checkpoint (exit code 75); a kill
//! loses the steps since the last checkpoint. In both cases --resume ends with the bits of an undisturbed
//! run.

use std::io::{PipeReader, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use libc::{SIGINT, SIGKILL, SIGTERM, SIGUSR1};
use serde_json::Value;
use support::program::{Place, Running, Watched, finish, wait_for};

use crate::PROGRAM;

/// Long enough for its log, one line per step, to overflow the pipe of a waiting reader ([`Watched`]).
const STEPS: u64 = 1500;

fn train(place: &Place, more: &[&str]) -> Command {
    let mut command = place.command(&["train", "tiny.toml", "--run-dir", "run"]);
    for set in [&format!("train.steps={STEPS}"), "train.log_every=1", "checkpoint.every=250"] {
        command.args(["--set", set]);
    }
    command.args(more);
    command
}

/// The hash of parameters and momentum in the last checkpoint, which must be of the last step.
fn end(place: &Place) -> Value {
    let shown = place.inspect(&format!("run/checkpoints/step-{STEPS:010}.h5"));
    assert_eq!(shown["step"], STEPS);
    shown["hash"].clone()
}

fn quiet() -> Value {
    let place = Place::new(PROGRAM);
    finish(&mut train(&place, &[])).ended(0);
    end(&place)
}

/// The steps of the run's checkpoints.
fn checkpoints(place: &Place) -> Vec<u64> {
    let step = |name: String| name.strip_prefix("step-")?.strip_suffix(".h5")?.parse().ok();
    place.names("run/checkpoints").into_iter().filter_map(step).collect()
}

#[test]
fn a_signal_ends_the_run_with_a_checkpoint_and_resume_takes_it_up() {
    let quiet = quiet();
    let place = Place::new(PROGRAM);
    // Twice in one run: after a few steps, and again after it was resumed.
    let mut before = 0;
    for (signal, more, line) in
        [(SIGINT, &[][..], "step     20  "), (SIGTERM, &["--resume"], "step    300  ")]
    {
        let run = Watched::start(train(&place, more));
        run.read_until(line);
        run.running.signal(signal);
        let ended = run.finish().ended(75);
        let step = *checkpoints(&place).last().unwrap();
        assert!(before < step && step < STEPS, "{step}");
        let said = format!(
            "a signal or the allocation's end stops the run after step {step}; --resume continues it"
        );
        assert!(ended.err.contains(&format!("{said}\n")), "{}", ended.err);
        before = step;
    }
    let resumed = finish(&mut train(&place, &["--resume"])).ended(0);
    assert!(resumed.err.contains(&format!("steps {before} to {STEPS}")), "{}", resumed.err);
    assert_eq!(end(&place), quiet);
}

#[test]
fn a_killed_run_resumes_from_its_last_checkpoint() {
    let quiet = quiet();
    let place = Place::new(PROGRAM);
    let run = Watched::start(train(&place, &[]));
    run.read_until("checkpoint run/checkpoints/step-0000000250.h5");
    run.read_until("step    300  ");
    run.running.signal(SIGKILL);
    assert_eq!(run.finish().code, None);
    let last = *checkpoints(&place).last().unwrap();
    assert!((250..STEPS).contains(&last) && last.is_multiple_of(250), "{last}");

    let resumed = finish(&mut train(&place, &["--resume"])).ended(0);
    assert!(resumed.err.contains(&format!("steps {last} to {STEPS}")), "{}", resumed.err);
    assert_eq!(end(&place), quiet);
    // The steps that the killed run had logged after its last checkpoint were repeated, and are logged once.
    let metrics = place.read("run/metrics.jsonl");
    let steps = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps: Vec<u64> = steps
        .filter(|event| event["event"] == "train")
        .map(|event| event["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (1..=STEPS).collect::<Vec<_>>());
}

/// A second interrupt ends the run at once.
#[test]
fn a_second_interrupt_ends_the_run_at_once() {
    let (place, mut run, _log) = held_up();
    take(&mut run, SIGINT);
    run.signal(SIGINT);
    assert_eq!(run.end(), Some(128 + SIGINT));
    assert_eq!(checkpoints(&place), [0; 0]);
}

/// A launcher that is interrupted may send its ranks more than one kind of signal: the checkpoint is still written.
#[test]
fn signals_of_several_kinds_are_one_wish_to_end() {
    let (place, mut run, log) = held_up();
    for signal in [SIGINT, SIGTERM, SIGUSR1] {
        take(&mut run, signal);
    }
    drop(log);
    assert_eq!(run.end(), Some(75));
    assert_eq!(checkpoints(&place), [1]);
}

/// A run that has begun but cannot complete a step, because nobody reads its log; and that log.
fn held_up() -> (Place, Running, PipeReader) {
    let place = Place::new(PROGRAM);
    let (reader, mut log) = std::io::pipe().unwrap();
    // SAFETY: a plain system call on an open descriptor.
    let room = unsafe { libc::fcntl(log.as_raw_fd(), libc::F_GETPIPE_SZ) };
    log.write_all(&vec![b'.'; usize::try_from(room).unwrap()]).unwrap();
    let run = Running(train(&place, &[]).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    // Signals are caught before the run directory is created, and its events file is opened last.
    wait_for("the run directory", || place.path("run/metrics.jsonl").exists().then_some(()));
    (place, run, reader)
}

/// Sends `run` a signal that it handles and survives.
fn take(run: &mut Running, signal: i32) {
    run.signal(signal);
    wait_for("the signal to be taken", || (!is_pending(run, signal)).then_some(()));
    assert!(run.0.try_wait().unwrap().is_none());
}

/// Whether `signal` is pending for the process.
fn is_pending(run: &Running, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.0.id())).unwrap();
    let pending = ["SigPnd:", "ShdPnd:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    });
    (pending[0] | pending[1]) >> (signal - 1) & 1 == 1
}
