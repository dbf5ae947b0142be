//! A wait for a peer, as a transport sees it during a pause.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use super::{Lane, Length};
use crate::{Error, Result};

/// The action of a peer that a rank waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The peer must send a message of this length in a lane.
    Send(Lane, Length),
    /// The peer must receive a message of this number of words, in any lane.
    Take(usize),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Act::Send(_, length) => write!(f, "send {length}"),
            Act::Take(words) => write!(f, "take {}", Length::Exactly(*words)),
        }
    }
}

/// A wait for a peer.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// The rank that is waited for.
    pub peer: usize,
    /// The action that it must perform.
    pub act: Act,
    /// When the wait began.
    pub since: Instant,
    /// Whether the wait sleeps between polls from the start, in favour of another thread that computes on
    /// this core. A thread that yields would return only after the other's time slice, and one that polls
    /// would take its time.
    pub naps: bool,
}

/// How long a wait yields its core between polls before it starts to sleep between them. Messages of a
/// running collective arrive well within this time; only a rank that waits for slow peers sleeps.
const POLL: Duration = Duration::from_millis(20);
const NAP: Duration = Duration::from_micros(100);

impl Wait {
    /// A wait that begins now.
    pub fn begin(peer: usize, act: Act) -> Self {
        Wait { peer, act, since: Instant::now(), naps: false }
    }

    /// How long it has lasted.
    pub fn lasted(&self) -> Duration {
        self.since.elapsed()
    }

    /// For transports: returns an error if this wait of rank `rank` has reached `deadline`.
    ///
    /// # Errors
    /// [`Error::Timeout`].
    pub fn check(&self, rank: usize, deadline: Duration) -> Result<()> {
        let lasted = self.lasted();
        if lasted < deadline {
            return Ok(());
        }
        let what = self.act.to_string();
        Err(Error::Timeout { rank, peer: self.peer, what, seconds: lasted.as_secs_f64() })
    }

    /// For transports that poll: yields this core for the first 20 ms of the wait, and then sleeps for 100 µs
    /// each time.
    pub fn yield_or_nap(&self) {
        if !self.naps && self.lasted() < POLL {
            thread::yield_now();
        } else {
            thread::sleep(NAP);
        }
    }
}
