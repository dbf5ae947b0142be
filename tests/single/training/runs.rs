//! Runs of the digits job with ranks as threads, and their events.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use support::digits::shipped;
use support::ranks::on_ranks;
use ternflock::error::Result;
use ternflock::job::Loaded;
use ternflock::report::{Event, Summary};
use ternflock::train::{Options, run};

/// The job cut to 20 steps, every one of them logged and verified.
pub fn short(sets: &[&str]) -> Loaded {
    shipped(&[&["train.steps=20", "train.log_every=1", "exchange.verify_every=1"], sets].concat())
}

/// The result of a run on one rank.
pub struct Ended {
    pub result: Result<Summary>,
    pub events: Vec<Event>,
}

impl Ended {
    pub fn summary(&self) -> &Summary {
        self.result.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The notes that it logged.
    pub fn notes(&self) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Note { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(text).collect()
    }

    /// Mean loss of each step.
    pub fn losses(&self) -> Vec<f64> {
        let loss = |event: &Event| match event {
            Event::Train { loss, .. } => Some(*loss),
            _ => None,
        };
        self.events.iter().filter_map(loss).collect()
    }
}

/// A new run in `directory`.
pub fn train(ranks: usize, loaded: &Loaded, directory: &Path) -> Vec<Ended> {
    start(ranks, loaded, directory, false, None)
}

/// The same as under an MPI without support for threads.
pub fn train_without_threads(ranks: usize, loaded: &Loaded, directory: &Path) -> Vec<Ended> {
    let options = Options { run_dir: Some(directory.into()), ..Options::default() };
    on_ranks(ranks, |world| {
        let mut events = Vec::new();
        let mut sink = |event: &Event| events.push(event.clone());
        let result = run(loaded, &options, &mut world.without_threads(), &AtomicBool::new(false), &mut sink);
        Ended { result, events }
    })
}

/// A new run in `directory`; `see` receives its events on rank 0, one after another.
pub fn train_and(ranks: usize, loaded: &Loaded, directory: &Path, see: impl Fn(&Event) + Sync) -> Vec<Ended> {
    let options = Options { run_dir: Some(directory.into()), ..Options::default() };
    on_ranks(ranks, |mut world| {
        let (is_first, mut events) = (world.rank() == 0, Vec::new());
        let mut sink = |event: &Event| {
            if is_first {
                see(event);
            }
            events.push(event.clone());
        };
        let result = run(loaded, &options, &mut world, &AtomicBool::new(false), &mut sink);
        Ended { result, events }
    })
}

/// Continues the run of `directory`.
pub fn resume(ranks: usize, loaded: &Loaded, directory: &Path) -> Vec<Ended> {
    start(ranks, loaded, directory, true, None)
}

/// Continues the run of `directory` with the differences between `loaded` and its own job.
pub fn resume_changed(ranks: usize, loaded: &Loaded, directory: &Path) -> Vec<Ended> {
    let options = Options { resume: true, allow_changes: true, ..Options::default() };
    start_as(ranks, loaded, directory, options, None)
}

/// A new run in `directory` that the last rank ends after step `step`, because it asks to stop from the step
/// before on.
pub fn train_until(step: u64, ranks: usize, loaded: &Loaded, directory: &Path) -> Vec<Ended> {
    start(ranks, loaded, directory, false, Some(step - 1))
}

fn start(
    ranks: usize,
    loaded: &Loaded,
    directory: &Path,
    resume: bool,
    wish_after: Option<u64>,
) -> Vec<Ended> {
    start_as(ranks, loaded, directory, Options { resume, ..Options::default() }, wish_after)
}

fn start_as(
    ranks: usize,
    loaded: &Loaded,
    directory: &Path,
    options: Options,
    wish_after: Option<u64>,
) -> Vec<Ended> {
    let options = Options { run_dir: Some(directory.into()), ..options };
    on_ranks(ranks, |mut world| {
        let (stop, mut events) = (AtomicBool::new(false), Vec::new());
        let is_last = world.rank() == world.size() - 1;
        let mut sink = |event: &Event| {
            if is_last && Some(event.step()) == wish_after {
                stop.store(true, Ordering::Relaxed);
            }
            events.push(event.clone());
        };
        let result = run(loaded, &options, &mut world, &stop, &mut sink);
        Ended { result, events }
    })
}

/// The lines of the run's `metrics.jsonl` about `event`.
pub fn metrics(directory: &Path, event: &str) -> Vec<Value> {
    let text = fs::read_to_string(directory.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["event"] == event).collect()
}

/// The steps of `lines`.
pub fn steps(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["step"].as_u64().unwrap()).collect()
}
