//! Signals that request this program to end.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use libc::c_int;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use ternflock_base::io::stop_waiting_when;

/// These signals, with their names.
const ENDING: [(c_int, &str); 4] =
    [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGUSR1, "SIGUSR1"), (SIGUSR2, "SIGUSR2")];

/// Set by the first [`Signals::catch`]. Static, because signals belong to the process.
static CAUGHT: OnceLock<Signals> = OnceLock::new();

/// The signals that have arrived since they were first caught.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Catches the signals from now on. Each sets a flag that the work and the waits check. A second SIGINT ends the
    /// process at once. Only SIGINT counts as the second, because an interrupted launcher may send its ranks several kinds
    /// of signals.
    ///
    /// # Errors
    /// If the system refuses. Signals that are not caught end the process at once.
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

    /// Set as soon as a signal has arrived.
    pub fn flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// The most recent signal, with its name.
    pub fn seen(&self) -> Option<(c_int, &'static str)> {
        let last = self.last.load(Ordering::Relaxed);
        ENDING.into_iter().find(|(signal, _)| *signal as usize == last)
    }
}

/// Whether a signal has arrived, in a command that catches them.
pub fn has_come() -> bool {
    CAUGHT.get().is_some_and(|signals| signals.stop.load(Ordering::Relaxed))
}

/// From now on, a write beyond the file size limit (`ulimit -f`) fails like a write to a full disk. By default the signal
/// SIGXFSZ would end the process without a message.
pub fn let_large_writes_fail() {
    // SAFETY: a plain system call, before this process has started any other thread.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
