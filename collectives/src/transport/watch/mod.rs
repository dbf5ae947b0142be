//! Names the rank that all others wait for.
//!
//! In a ring, a rank waits for the one before it, which waits for the one before that. Only one of them is late: the one
//! that does not wait. So ranks that have waited for some time tell all others which rank they wait for (a *note*). To name
//! the late rank, a rank follows the notes from its own peer to the first rank that has sent none.
//!
//! A rank sends its first note when it has waited an eighth of `warn_after`, and another one each time the
//! wait has doubled, so even a long stall costs few messages. It sends a last one when the wait ends.

mod late;
mod notes;

use std::fmt::{self, Write};
use std::time::{Duration, Instant};

pub use late::Late;
use notes::{Note, Notes, WORDS};

use super::{Act, Lane, Length, Transport, Wait};
use crate::{Error, Result};

/// The first note is sent after `warn_after` divided by this number, so that ranks whose waits began at
/// different times know of each other before the first warning.
const AHEAD: u32 = 8;

/// The minimum time before the first note, and the minimum time after which a rank that did not poll counts
/// as absent. On a busy machine, any pause may take this long.
const SHORTEST: Duration = Duration::from_millis(1);
const ABSENCE: Duration = Duration::from_millis(200);

/// A transport that reports long waits.
pub struct Watched<T, R> {
    inner: T,
    /// By rank.
    hosts: Vec<String>,
    /// The lengths of waits after which a note is sent and a warning is reported.
    note_after: Duration,
    warn_after: Duration,
    report: R,
    context: String,
    notes: Notes,
    /// When notes were last read.
    read: Instant,
    /// There is at most one: during a wait, a rank only polls, and starts no other wait.
    stall: Option<Stall>,
}

/// A wait in progress.
struct Stall {
    wait: Wait,
    /// The time of the last poll, and the total time without polls, in which the rank was stopped or did
    /// other work.
    looked: Instant,
    absent: Duration,
    /// The lengths at which the next note is sent and the next warning is reported.
    note_at: Duration,
    warn_at: Duration,
    has_spoken: bool,
}

impl<T: Transport, R: FnMut(&Late)> Watched<T, R> {
    /// `inner`, whose rank `r` runs on `hosts[r]`. `report` is called when a wait has lasted for
    /// `warn_after`, at least 8 ms, and each time its length has doubled. It is never called if `warn_after`
    /// is above the deadline.
    pub fn new(inner: T, hosts: Vec<String>, warn_after: Duration, report: R) -> Self {
        let note_after = SHORTEST.max(warn_after.min(inner.deadline()) / AHEAD);
        Watched {
            notes: Notes::new(inner.world()),
            inner,
            hosts,
            note_after,
            warn_after: warn_after.max(note_after * AHEAD),
            report,
            context: String::new(),
            read: Instant::now(),
            stall: None,
        }
    }

    /// The hosts that the ranks run on, by rank.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Sends notes and reports that are due in `wait`. Returns the wait with its start moved by the time in
    /// which this rank did not poll. So a rank that was stopped, and for which perhaps all others wait, is
    /// the last one to call another rank late.
    fn attend(&mut self, wait: &Wait) -> Result<Wait> {
        if self.waits(|known| known.since != wait.since) {
            self.go_on()?;
        }
        let begin = || Stall::begin(*wait, self.note_after, self.warn_after);
        let stall = self.stall.get_or_insert_with(begin);
        stall.wait = *wait;
        let waited = stall.waited(Instant::now(), self.note_after.max(ABSENCE));
        let seen = Wait { since: wait.since + stall.absent, ..*wait };
        if waited < self.note_after {
            return Ok(seen);
        }
        let (speaks, warns) = (due(&mut stall.note_at, waited), due(&mut stall.warn_at, waited));
        stall.has_spoken |= speaks;
        self.read_at_times()?;
        if speaks {
            self.tell_all(Note::Waiting { peer: wait.peer, waited })?;
        }
        if warns {
            let late = self.late(wait, waited)?;
            (self.report)(&late);
        }
        Ok(seen)
    }

    /// The report, if this rank has waited for `waited`.
    fn late(&mut self, wait: &Wait, waited: Duration) -> Result<Late> {
        // Notes that have just arrived count too.
        self.read_notes()?;
        let (rank, now) = (self.rank(), Instant::now());
        let late = self.notes.late(rank, wait.peer, now);
        Ok(Late {
            rank,
            peer: wait.peer,
            act: wait.act,
            context: self.context.clone(),
            late,
            host: late.and_then(|late| self.hosts.get(late)).cloned().unwrap_or_default(),
            seconds: waited.as_secs_f64(),
            deadline_seconds: self.deadline().as_secs_f64(),
            is_lowest: !self.notes.any_below(rank, waited, now),
        })
    }

    /// Ends the wait. The other ranks are told if they were told of the wait.
    fn go_on(&mut self) -> Result<()> {
        match self.stall.take() {
            Some(stall) if stall.has_spoken => self.tell_all(Note::GoesOn),
            _ => Ok(()),
        }
    }

    fn tell_all(&mut self, note: Note) -> Result<()> {
        let rank = self.rank();
        for peer in (0..self.world()).filter(|peer| *peer != rank) {
            let mut message = self.inner.buffer(WORDS);
            message.copy_from_slice(&note.to_words());
            but_for_the_gone(self.inner.send_on(Lane::Notes, peer, message))?;
        }
        Ok(())
    }

    /// Whether this rank is in a wait for which `is_it` holds.
    fn waits(&self, is_it: impl Fn(&Wait) -> bool) -> bool {
        self.stall.as_ref().is_some_and(|stall| is_it(&stall.wait))
    }

    fn read_at_times(&mut self) -> Result<()> {
        if self.read.elapsed() < self.note_after { Ok(()) } else { self.read_notes() }
    }

    fn read_notes(&mut self) -> Result<()> {
        self.read = Instant::now();
        let rank = self.rank();
        for peer in (0..self.world()).filter(|peer| *peer != rank) {
            while let Some(message) =
                but_for_the_gone(self.inner.poll(Lane::Notes, peer, Length::Exactly(WORDS)))?.flatten()
            {
                self.notes.take(peer, Note::from_words(&message), self.read);
                self.inner.recycle(message);
            }
        }
        Ok(())
    }
}

/// A rank that has ended neither needs nor sends notes. A rank that waits for it gets an error from the wait
/// itself.
fn but_for_the_gone<V>(result: Result<V>) -> Result<Option<V>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::PeerGone { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether `waited` has reached `at`. If so, `at` is doubled until it is above `waited`.
fn due(at: &mut Duration, waited: Duration) -> bool {
    let is_due = waited >= *at;
    while *at <= waited {
        *at *= 2;
    }
    is_due
}

impl Stall {
    fn begin(wait: Wait, note_at: Duration, warn_at: Duration) -> Self {
        Stall { wait, looked: wait.since, absent: Duration::ZERO, note_at, warn_at, has_spoken: false }
    }

    /// How long this rank has waited at `now`, without the intervals longer than `absence` in which it did
    /// not poll.
    fn waited(&mut self, now: Instant, absence: Duration) -> Duration {
        let unseen = now.duration_since(self.looked);
        self.looked = now;
        if unseen > absence {
            self.absent += unseen;
        }
        now.duration_since(self.wait.since).saturating_sub(self.absent)
    }
}

impl<T: Transport, R: FnMut(&Late)> Transport for Watched<T, R> {
    crate::forward_transport!(inner: rank world nodes deadline buffer recycle);

    fn set_context(&mut self, context: fmt::Arguments<'_>) {
        self.context.clear();
        // Writing to a string does not fail.
        let _ = self.context.write_fmt(context);
    }

    fn context(&self) -> &str {
        &self.context
    }

    fn send_on(&mut self, lane: Lane, to: usize, message: Vec<u64>) -> Result<()> {
        // Notes must not accumulate at a rank that never waits.
        self.read_at_times()?;
        self.inner.send_on(lane, to, message)
    }

    fn poll(&mut self, lane: Lane, from: usize, length: Length) -> Result<Option<Vec<u64>>> {
        let message = self.inner.poll(lane, from, length)?;
        // Meanwhile, other code may poll for messages of the same peer in another lane.
        let is_awaited =
            |wait: &Wait| wait.peer == from && matches!(wait.act, Act::Send(on, _) if on == lane);
        if message.is_some() && self.waits(is_awaited) {
            self.go_on()?;
        }
        Ok(message)
    }

    fn pending(&mut self) -> Result<Option<(usize, usize)>> {
        let pending = self.inner.pending()?;
        if pending.is_none() && self.waits(|wait| matches!(wait.act, Act::Take(_))) {
            self.go_on()?;
        }
        Ok(pending)
    }

    fn pause(&mut self, wait: &Wait) -> Result<()> {
        let seen = self.attend(wait)?;
        match self.inner.pause(&seen) {
            Err(Error::Timeout { .. }) => Err(Error::Late(Box::new(self.late(wait, seen.lasted())?))),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_at_each_doubling_once() {
        let mut at = Duration::from_secs(2);
        let times: Vec<_> = (1..40).filter(|second| due(&mut at, Duration::from_secs(*second))).collect();
        assert_eq!(times, [2, 4, 8, 16, 32]);
        assert!(due(&mut at, Duration::from_secs(300)));
        assert_eq!(at, Duration::from_secs(512));
    }

    #[test]
    fn a_rank_that_did_not_look_has_not_waited() {
        let (wait, second) =
            (Wait::begin(1, Act::Send(Lane::Bulk, Length::Exactly(3))), Duration::from_secs(1));
        let mut stall = Stall::begin(wait, second, second);
        let waited =
            |stall: &mut Stall, at: u32| stall.waited(wait.since + at * second, 2 * second).as_secs();
        assert_eq!(waited(&mut stall, 2), 2);
        assert_eq!(waited(&mut stall, 9), 2);
        assert_eq!(waited(&mut stall, 11), 4);
    }
}
