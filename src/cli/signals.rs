//! Signals that ask this program to end.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use libc::c_int;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use crate::io::stop_waiting_when;

/// Those that do, with their names.
const ENDING: [(c_int, &str); 4] =
    [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGUSR1, "SIGUSR1"), (SIGUSR2, "SIGUSR2")];

/// The argument of the one [`Signals::catch`]. Signals belong to the process, and so does this.
static CAUGHT: OnceLock<Signals> = OnceLock::new();

/// The signals that have come since they are caught.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Catches them from now on: they set a flag that whoever works or waits looks at. A second SIGINT ends the process at
    /// once. A launcher that is interrupted may send its ranks several kinds of signals, so only an impatient user counts
    /// as a second.
    ///
    /// # Errors
    /// If the system refuses; signals that are not caught end the process at once.
    pub fn catch() -> io::Result<Signals> {
        let signals = CAUGHT.get_or_init(Signals::default).clone();
        stop_waiting_when(Arc::clone(&signals.stop));
        let interrupted = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register_conditional_shutdown(SIGINT, 128 + SIGINT, Arc::clone(&interrupted))?;
        signal_hook::flag::register(SIGINT, interrupted)?;
        for (signal, _) in ENDING {
            signal_hook::flag::register_usize(signal, Arc::clone(&signals.last), signal as usize)?;
            signal_hook::flag::register(signal, Arc::clone(&signals.stop))?;
        }
        Ok(signals)
    }

    /// Set as soon as one has come.
    pub fn flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// The last that has come, with its name.
    pub fn seen(&self) -> Option<(c_int, &'static str)> {
        let last = self.last.load(Ordering::Relaxed);
        ENDING.into_iter().find(|(signal, _)| *signal as usize == last)
    }
}

/// Whether one has come, in a command that catches them.
pub fn has_come() -> bool {
    CAUGHT.get().is_some_and(|signals| signals.stop.load(Ordering::Relaxed))
}

/// A write to a file beyond the size that `ulimit -f` allows fails from now on, as one to a full disk does. By default the
/// signal SIGXFSZ would end the process without a message.
pub fn let_large_writes_fail() {
    // SAFETY: a plain system call, before this process has started any other thread.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
