//! The end of the allocation: a run stops early enough before it to write a checkpoint.

use std::time::{Duration, Instant, SystemTime};

/// When the processes of a run will be killed, as far as this rank knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocationDeadline {
    /// By this machine's clock.
    pub at: SystemTime,
    /// A run stops this long before the end, plus the time of its longest step, which may still lie between
    /// it and the checkpoint.
    pub margin: Duration,
}

/// Checks the clock after each step.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    end: Option<AllocationDeadline>,
    last: Instant,
    /// The longest time between two checks: a step, with the evaluation and the checkpoint after it.
    longest: Duration,
}

impl Watch {
    /// Limits the margin to half of the remaining time, so that a run that is restarted again and again still
    /// makes progress. An end that has already passed cannot be right, because the run would not exist: it is
    /// ignored, and the second value returned is how long ago it was.
    pub fn new(end: Option<AllocationDeadline>, now: SystemTime) -> (Watch, Option<Duration>) {
        let (mut right, mut passed) = (None, None);
        if let Some(AllocationDeadline { at, margin }) = end {
            match at.duration_since(now) {
                Ok(left) if !left.is_zero() => {
                    right = Some(AllocationDeadline { at, margin: margin.min(left / 2) })
                }
                _ => passed = Some(now.duration_since(at).unwrap_or_default()),
            }
        }
        (Watch { end: right, last: Instant::now(), longest: Duration::ZERO }, passed)
    }

    /// Whether it is time to stop.
    pub fn is_time(&mut self) -> bool {
        let since = self.last;
        self.last = Instant::now();
        self.looks(self.last - since, SystemTime::now())
    }

    fn looks(&mut self, spent: Duration, now: SystemTime) -> bool {
        self.longest = self.longest.max(spent);
        self.end.is_some_and(|end| now + end.margin + self.longest >= end.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_run_stops_by_its_margin_and_its_longest_step_before_the_end() {
        let start = SystemTime::UNIX_EPOCH + 1000 * S;
        let (mut watch, _) =
            Watch::new(Some(AllocationDeadline { at: start + 100 * S, margin: 30 * S }), start);
        assert!(!watch.looks(S, start + 60 * S));
        assert!(!watch.looks(S, start + 68 * S));
        assert!(watch.looks(S, start + 69 * S));
        assert!(!watch.looks(S, start + 60 * S));
        assert!(watch.looks(10 * S, start + 60 * S));
        assert!(watch.looks(S, start + 60 * S), "the longest step is remembered");
        assert!(!Watch::new(None, start).0.looks(S, start + 1_000_000 * S));
    }

    #[test]
    fn a_margin_never_takes_more_than_half_of_what_is_left() {
        let start = SystemTime::UNIX_EPOCH + 1000 * S;
        let (mut watch, _) =
            Watch::new(Some(AllocationDeadline { at: start + 40 * S, margin: 60 * S }), start);
        assert!(!watch.looks(Duration::ZERO, start + 19 * S));
        assert!(watch.looks(Duration::ZERO, start + 20 * S));
    }

    #[test]
    fn an_end_that_has_passed_is_a_wrong_clock() {
        let start = SystemTime::UNIX_EPOCH + 1000 * S;
        let (mut watch, passed) =
            Watch::new(Some(AllocationDeadline { at: start, margin: S }), start + 5 * S);
        assert_eq!(passed, Some(5 * S));
        assert!(!watch.looks(S, start + 6 * S));
        assert_eq!(Watch::new(Some(AllocationDeadline { at: start + S, margin: S }), start).1, None);
    }
}
