//! The notes of waiting ranks, and the rank that they all wait for.

use std::time::{Duration, Instant};

/// The length of a note in words.
pub(super) const WORDS: usize = 2;

/// Replaces the peer in the note of a rank that no longer waits.
const NOBODY: u64 = u64::MAX;

/// The content of a note from one rank to all others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Note {
    /// It has waited this long for rank `peer`. It sends another note when the wait has doubled.
    Waiting { peer: usize, waited: Duration },
    /// Its wait has ended.
    GoesOn,
}

impl Note {
    pub fn to_words(self) -> [u64; WORDS] {
        match self {
            Note::Waiting { peer, waited } => [peer as u64, waited.as_nanos() as u64],
            Note::GoesOn => [NOBODY, 0],
        }
    }

    pub fn from_words(words: &[u64]) -> Self {
        match words[0] {
            NOBODY => Note::GoesOn,
            peer => Note::Waiting { peer: peer as usize, waited: Duration::from_nanos(words[1]) },
        }
    }
}

/// The last note of each rank that waits.
#[derive(Debug)]
pub(super) struct Notes {
    waiting: Vec<Option<Waiting>>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    peer: usize,
    /// How long it had waited when the note arrived.
    waited: Duration,
    heard: Instant,
    /// The time by which the next note must arrive if the rank still waits.
    until: Instant,
}

impl Notes {
    /// The notes of `world` ranks, none of which has sent one.
    pub fn new(world: usize) -> Self {
        Notes { waiting: vec![None; world] }
    }

    /// Records the note that arrived from rank `from` at `now`.
    pub fn take(&mut self, from: usize, note: Note, now: Instant) {
        self.waiting[from] = match note {
            // 1.5 times the expected time, so that a rank with a slow note still counts.
            Note::Waiting { peer, waited } => {
                Some(Waiting { peer, waited, heard: now, until: now + waited * 3 / 2 })
            }
            Note::GoesOn => None,
        };
    }

    /// The wait of `rank`, as far as it is known at `now`.
    fn waiting(&self, rank: usize, now: Instant) -> Option<Waiting> {
        self.waiting[rank].filter(|waiting| now <= waiting.until)
    }

    /// The rank at the end of the chain of waits from `rank`, which waits for `peer`; `None` if the chain
    /// leads back to `rank`.
    pub fn late(&self, rank: usize, peer: usize, now: Instant) -> Option<usize> {
        let mut late = peer;
        // A chain longer than the number of ranks contains a circle that `rank` is not part of.
        for _ in 0..self.waiting.len() {
            match self.waiting(late, now) {
                _ if late == rank => return None,
                Some(next) => late = next.peer,
                None => return Some(late),
            }
        }
        None
    }

    /// Whether a rank below `rank`, which has waited for `waited`, has waited at least half as long. Half is
    /// enough, because waits for one late rank do not all start at once.
    pub fn any_below(&self, rank: usize, waited: Duration, now: Instant) -> bool {
        let as_long = |lower: Waiting| lower.waited + now.duration_since(lower.heard) >= waited / 2;
        (0..rank).any(|lower| self.waiting(lower, now).is_some_and(as_long))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Each rank waits for the rank given with it.
    fn notes(world: usize, waiting: &[(usize, usize)], now: Instant) -> Notes {
        let mut notes = Notes::new(world);
        waiting
            .iter()
            .for_each(|&(rank, peer)| notes.take(rank, Note::Waiting { peer, waited: SECOND }, now));
        notes
    }

    #[test]
    fn a_chain_ends_at_the_rank_that_says_nothing() {
        let now = Instant::now();
        let ring = notes(6, &[(1, 0), (2, 1), (4, 3), (5, 4), (0, 5)], now);
        for (rank, peer) in [(4, 3), (5, 4), (0, 5), (1, 0), (2, 1)] {
            assert_eq!(ring.late(rank, peer, now), Some(3));
        }
    }

    #[test]
    fn a_circle_ends_nowhere_with_or_without_the_rank_that_asks() {
        let now = Instant::now();
        assert_eq!(notes(3, &[(1, 2), (2, 0)], now).late(0, 1, now), None);
        assert_eq!(notes(4, &[(1, 2), (2, 1)], now).late(0, 1, now), None);
        assert_eq!(notes(2, &[], now).late(0, 0, now), None);
    }

    #[test]
    fn a_lower_rank_counts_once_it_has_waited_half_as_long_or_more() {
        let now = Instant::now();
        let notes = notes(4, &[(1, 0), (3, 0)], now);
        assert!(notes.any_below(2, SECOND, now) && notes.any_below(2, 2 * SECOND, now));
        assert!(!notes.any_below(2, 3 * SECOND, now) && notes.any_below(2, 3 * SECOND, now + SECOND / 2));
        assert!(!notes.any_below(1, SECOND, now) && !notes.any_below(0, SECOND, now));
    }

    #[test]
    fn what_a_rank_said_holds_until_it_goes_on_or_should_have_spoken_again() {
        let now = Instant::now();
        let mut notes = notes(3, &[(1, 2)], now);
        assert_eq!(notes.late(0, 1, now + SECOND), Some(2));
        assert_eq!(notes.late(0, 1, now + 2 * SECOND), Some(1));
        notes.take(1, Note::GoesOn, now);
        assert_eq!(notes.late(0, 1, now), Some(1));
    }

    #[test]
    fn a_note_is_what_its_words_say() {
        for note in [Note::Waiting { peer: 3, waited: Duration::from_nanos(5) }, Note::GoesOn] {
            assert_eq!(Note::from_words(&note.to_words()), note);
        }
    }
}
