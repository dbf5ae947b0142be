//! Kills or stops one rank of a job at a random moment after its start. The job must end by itself in time, report the
//! reason and leave no processes running. After a resume, its results must be bit-identical to those of an undisturbed run.
//!
//! `make faults COUNT=500 SEED=1` repeats this for many jobs and prints how often each failure occurred.

mod tally;

use std::env;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use support::digits::{assert_same_state, load};

use super::{train, train_threads};
use crate::launch::Launcher;
use crate::running::{self, Finished, Running, processes_of};
use tally::Tally;

/// Numbers of ranks.
const WORLDS: [usize; 3] = [1, 2, 4];

/// As many steps that training takes about as long as the start.
const STEPS: u64 = 150;
const SETS: [&str; 5] = [
    "train.steps=150",
    "train.eval_every=0",
    "train.log_every=5",
    "checkpoint.every=10",
    "exchange.warn_after=1",
];

/// The timeout of a job with a fault, and of a job that must succeed on a busy machine.
const TIMEOUT: &str = "exchange.timeout=3";
const PATIENT: &str = "exchange.timeout=100";

/// The time in which a job must end after its fault: the timeout, the same again for ranks that began their wait late, and
/// the time a launcher takes to end its ranks on a busy machine.
const LIMIT: Duration = Duration::from_secs(15);
/// A job that takes longer is a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// When the `number`th fault happens, as a fraction of slightly more than the time of a quiet run. Consecutive faults are
/// spread evenly (the golden ratio).
fn part(number: u64) -> f64 {
    1.1 * (number as f64 * 0.618_033_988_75).fract()
}

/// A few faults, at the same time as all other tests.
pub fn few(launcher: &Launcher, _: usize) {
    inflict(launcher, 6, 1).assert_none();
}

/// `$COUNT` faults, drawn with the seed `$SEED`.
pub fn many(launcher: &Launcher, _: usize) {
    let number = |name: &str, default| {
        env::var(name)
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    };
    inflict(launcher, number("COUNT", 500), number("SEED", 1)).assert_none();
}

/// The fault of a rank.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Killed,
    Stopped,
}

/// A fault.
#[derive(Clone, Copy, Debug)]
struct Fault {
    ranks: usize,
    victim: usize,
    kind: Kind,
    /// The delay after the start of the victim.
    delay: Duration,
}

fn inflict(launcher: &Launcher, count: u64, seed: u64) -> Tally {
    let (mut tally, mut random, begin) = (Tally::default(), Random(seed), Instant::now());
    let threads = tempfile::tempdir().unwrap();
    let quiet: Vec<_> = WORLDS
        .into_iter()
        .map(|ranks| {
            let directory = threads.path().join(ranks.to_string());
            train_threads(ranks, &[&SETS[..], &[PATIENT]].concat(), &directory);
            (directory, quiet_time(launcher, ranks))
        })
        .collect();
    for number in 0..count {
        let world = (number % WORLDS.len() as u64) as usize;
        let (ranks, (straight, time)) = (WORLDS[world], &quiet[world]);
        let turn = seed + number / WORLDS.len() as u64;
        let fault = Fault {
            ranks,
            victim: random.below(ranks as u64) as usize,
            kind: if random.below(2) == 0 { Kind::Killed } else { Kind::Stopped },
            delay: time.mul_f64(part(turn)) + Duration::from_micros(random.below(20_000)),
        };
        tally.add(launcher, fault, straight);
        if (number + 1).is_multiple_of(50) {
            println!("after {} s: {tally}", begin.elapsed().as_secs());
        }
    }
    println!("{count} faults, SEED={seed}, {} s: {tally}", begin.elapsed().as_secs());
    tally
}

/// The time from the start of the last rank to the end of an undisturbed job.
fn quiet_time(launcher: &Launcher, ranks: usize) -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let mut job = train(launcher, ranks, &[&SETS[..], &[PATIENT]].concat(), directory.path(), &[]);
    job.wait_until("all ranks are there", |job| job.ranks().len() == ranks);
    let begin = Instant::now();
    let end = job.finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    begin.elapsed()
}

/// A job that has ended, and the time since the fault.
struct Ended {
    end: Finished,
    after: Duration,
}

/// Inflicts `fault` on `job` and waits for its end; `None` if it hangs.
fn suffer(job: &mut Running, fault: Fault) -> Option<Ended> {
    // A job that fails before it has started its ranks ends without the fault.
    let begin = Instant::now();
    let mut victim = None;
    while victim.is_none() && begin.elapsed() < PATIENCE && !job.has_ended() {
        victim = job.rank(fault.victim);
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(fault.delay);
    let struck = Instant::now();
    if let Some(pid) = victim.filter(|_| !job.has_ended()) {
        match fault.kind {
            Kind::Killed => running::signal(pid, libc::SIGKILL),
            Kind::Stopped => running::signal(pid, libc::SIGSTOP),
        }
        if fault.kind == Kind::Stopped && fault.ranks == 1 {
            // No other rank notices. The job is not harmed, even if the timeout has passed.
            thread::sleep(Duration::from_secs(if fault.delay.subsec_millis().is_multiple_of(8) {
                4
            } else {
                1
            }));
            running::signal(pid, libc::SIGCONT);
        }
    }
    let end = job.end_within(PATIENCE)?;
    Some(Ended { end, after: struck.elapsed() })
}

/// Whether all processes with `directory` in their command line end within a moment.
fn is_gone(directory: &Path) -> bool {
    let begin = Instant::now();
    while !processes_of(directory).is_empty() {
        if begin.elapsed() > Duration::from_secs(5) {
            processes_of(directory).into_iter().for_each(|pid| running::signal(pid, libc::SIGKILL));
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Starts the run again as a batch script does, and compares its end with the quiet run.
fn resume(launcher: &Launcher, ranks: usize, run: &Path, straight: &Path) -> Result<(), String> {
    let more: &[&str] = if run.join("job.toml").exists() { &["--resume", "--allow-changes"] } else { &[] };
    let end = train(launcher, ranks, &[&SETS[..], &[PATIENT]].concat(), run, more).finish().unwrap();
    if end.code != Some(0) {
        let files: Vec<_> =
            fs::read_dir(run).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        return Err(format!("code {:?}, {files:?}\n{}", end.code, end.output));
    }
    catch_unwind(|| assert_same_state(&load(run, STEPS), &load(straight, STEPS)))
        .map_err(|_| format!("other bits\n{}", end.output))
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % limit
    }
}
