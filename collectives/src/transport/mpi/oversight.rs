//! Watches calls of the MPI library that wait for other ranks and have no deadline of their own.
//!
//! Such a call cannot be cancelled. If it takes too long, the only remedy is to end the process. The program decides that
//! ([`OnCall`]); this crate neither prints nor exits. The watching thread never calls MPI.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A call that returns only after the other ranks have made it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `MPI_Init_thread`, which also waits for the launcher.
    Init,
    /// `MPI_Comm_dup`, at the start.
    Duplicate,
    /// `MPI_Comm_split_type`, at the start.
    Split,
    /// `MPI_Allreduce`, which the benchmarks measure.
    Allreduce,
    /// `MPI_Comm_free`, at the end of a transport over an existing communicator.
    Free,
    /// `MPI_Finalize`.
    Finalize,
}

impl Call {
    /// Whether the ranks are still starting, so that none has done any work yet.
    pub fn is_start(self) -> bool {
        matches!(self, Call::Init | Call::Duplicate | Call::Split)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Init => "MPI_Init_thread",
            Call::Duplicate => "MPI_Comm_dup",
            Call::Split => "MPI_Comm_split_type",
            Call::Allreduce => "MPI_Allreduce",
            Call::Free => "MPI_Comm_free",
            Call::Finalize => "MPI_Finalize",
        })
    }
}

/// Called several times a second while this process is in a [`Call`], with the time spent in the call so far. It runs on a
/// thread that must not call MPI or read or change the environment. Time in which the process was stopped does not count.
pub type OnCall = Arc<dyn Fn(Call, Duration) + Send + Sync>;

/// The interval between two checks.
const TICK: Duration = Duration::from_millis(50);

/// The longest that a tick can take on a busy machine. After a longer one, the process was stopped.
const LONGEST_TICK: Duration = Duration::from_millis(500);

/// The thread ends after this number of checks without a call; the next call starts another thread.
const IDLE: u32 = 4;

/// The watch of one transport. Clones watch the same calls.
#[derive(Clone)]
pub(super) struct Oversight {
    on_call: Option<OnCall>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    call: Option<Call>,
    /// The number of the call, which distinguishes a new call from the previous one.
    number: u64,
    is_watched: bool,
}

/// Marks this process as inside a call until dropped.
pub(super) struct Inside<'a>(&'a Oversight);

impl Oversight {
    /// A watch that reports to `on_call`. Without `on_call`, nothing is watched.
    pub fn new(on_call: Option<OnCall>) -> Self {
        Oversight { on_call, state: Arc::default() }
    }

    /// Marks that this process enters `call`.
    ///
    /// # Errors
    /// If the watching thread cannot be started.
    pub fn enter(&self, call: Call) -> io::Result<Inside<'_>> {
        if let Some(on_call) = &self.on_call {
            let mut state = lock(&self.state);
            (state.call, state.number) = (Some(call), state.number + 1);
            if !state.is_watched {
                let (shared, on_call) = (Arc::clone(&self.state), Arc::clone(on_call));
                let thread = thread::Builder::new().name("watch MPI".into());
                let started = thread.spawn(move || watch(&shared, &*on_call)).map(drop);
                state.is_watched = started.is_ok();
                if started.is_err() {
                    state.call = None;
                }
                started?;
            }
        }
        Ok(Inside(self))
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.0.on_call.is_some() {
            lock(&self.0.state).call = None;
        }
    }
}

/// Checks `state` until there has been no call for a while.
fn watch(state: &Mutex<State>, on_call: &dyn Fn(Call, Duration)) {
    let (mut waited, mut number, mut idle, mut looked) = (Duration::ZERO, 0, 0, Instant::now());
    loop {
        thread::sleep(TICK);
        let tick = looked.elapsed().min(LONGEST_TICK);
        looked = Instant::now();
        let call = {
            let mut state = lock(state);
            idle = if state.call.is_some() { 0 } else { idle + 1 };
            if idle >= IDLE {
                state.is_watched = false;
                return;
            }
            waited = if state.number == number { waited + tick } else { Duration::ZERO };
            number = state.number;
            state.call
        };
        if let Some(call) = call {
            on_call(call, waited);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reports so far.
    type Seen = Arc<Mutex<Vec<(Call, Duration)>>>;

    /// A watch over `calls` of these lengths.
    fn watched(calls: &[(Call, Duration)]) -> (Oversight, Seen) {
        let seen = Seen::default();
        let sink = Arc::clone(&seen);
        let oversight =
            Oversight::new(Some(Arc::new(move |call, waited| sink.lock().unwrap().push((call, waited)))));
        for (call, length) in calls {
            let _inside = oversight.enter(*call).unwrap();
            thread::sleep(*length);
        }
        (oversight, seen)
    }

    #[test]
    fn a_call_that_lasts_is_reported_with_its_time_and_a_short_one_is_not() {
        let (begin, short) = (Instant::now(), (Call::Allreduce, Duration::ZERO));
        let (_, seen) = watched(&[short, short, (Call::Init, 8 * TICK), short]);
        let seen = seen.lock().unwrap();
        let times: Vec<Duration> = seen.iter().map(|(_, waited)| *waited).collect();
        assert!(seen.iter().all(|(call, _)| *call == Call::Init), "{seen:?}");
        assert!(times.is_sorted() && *times.last().unwrap() >= 2 * TICK, "{seen:?}");
        assert!(*times.last().unwrap() <= begin.elapsed(), "{seen:?}");
    }

    #[test]
    fn the_next_call_begins_anew() {
        let (_, seen) = watched(&[(Call::Init, 8 * TICK), (Call::Duplicate, 3 * TICK)]);
        let seen = seen.lock().unwrap();
        let of = |wanted| seen.iter().filter(move |(call, _)| *call == wanted).map(|(_, waited)| *waited);
        assert!(of(Call::Duplicate).max() < of(Call::Init).max(), "{seen:?}");
    }

    #[test]
    fn nothing_is_watched_after_the_call_and_the_next_is_watched_again() {
        let (oversight, seen) = watched(&[(Call::Init, 3 * TICK)]);
        let begin = Instant::now();
        while lock(&oversight.state).is_watched {
            assert!(begin.elapsed() < Duration::from_secs(30), "the thread goes on");
            thread::sleep(TICK);
        }
        seen.lock().unwrap().clear();
        let _inside = oversight.enter(Call::Finalize).unwrap();
        while seen.lock().unwrap().is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(30), "nothing is reported");
            thread::sleep(TICK);
        }
        assert_eq!(seen.lock().unwrap()[0].0, Call::Finalize);
    }
}
