//! When the ranks exchange: in each step, or once per several local steps.

use super::Trainer;

/// The steps of a stage after which the parameters are equal on all ranks. It follows from the job and the stage, so a
/// resumed run has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Steps from one exchange to the next; 1: no local steps.
    every: u64,
    /// The number of completed steps from which the exchanges are this far apart.
    start: u64,
    /// The number of completed steps at the end of the stage, after which there is always an exchange.
    end: u64,
}

impl Rhythm {
    /// An exchange per `every` steps, from `start` to `end`; before `start`, one per step.
    pub fn new(every: u64, start: u64, end: u64) -> Rhythm {
        Rhythm { every: every.max(1), start, end }
    }

    /// The number of completed steps from which there are local steps.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Whether step `step`, counted from 0, is a local step: its gradients are not averaged.
    pub fn is_local(&self, step: u64) -> bool {
        self.every > 1 && step >= self.start
    }

    /// Whether all ranks have the same parameters after `done` steps.
    pub fn is_synchronised(&self, done: u64) -> bool {
        self.every == 1
            || done <= self.start
            || done == self.end
            || (done - self.start).is_multiple_of(self.every)
    }

    /// The last time before `done` steps, above 0, at which all ranks had the same parameters.
    pub fn before(&self, done: u64) -> u64 {
        let last = done.saturating_sub(1);
        match self.every > 1 && last > self.start {
            true => last - (last - self.start) % self.every,
            false => last,
        }
    }

    /// Whether a multiple of `interval`, which is not 0, was reached after the previous synchronisation and by `done`.
    /// Periodic work that is due at a step at which the ranks differ is done after their next synchronisation.
    pub fn is_due(&self, interval: u64, done: u64) -> bool {
        interval != 0 && done / interval > self.before(done) / interval
    }

    /// Steps of the last period of the stage, if it is shorter than `every`.
    pub fn remainder(&self) -> Option<u64> {
        let local = self.end.saturating_sub(self.start);
        Some(local % self.every).filter(|&rest| rest != 0)
    }
}

impl Trainer {
    /// When the ranks exchange in this stage. One rank without compression has nothing to average, so each of its steps
    /// counts as synchronised.
    pub fn rhythm(&self) -> Rhythm {
        let job = &self.job.exchange;
        let is_alone = self.exchange.ranks() == 1 && self.exchange.compressed_parameters() == 0;
        let every = if is_alone { 1 } else { job.every };
        Rhythm::new(every, job.every_start.max(self.start), self.steps)
    }

    /// Steps from one exchange to the next, once `exchange.every_start` is reached.
    pub fn exchange_every(&self) -> u64 {
        self.rhythm().every
    }

    /// Whether the ranks synchronise in the step that comes next.
    pub fn synchronises_next(&self) -> bool {
        self.rhythm().is_synchronised(self.step + 1)
    }

    /// Whether work with this interval, in steps, is due now that the ranks are synchronised. 0: never.
    pub fn is_due(&self, interval: u64) -> bool {
        self.rhythm().is_due(interval, self.step)
    }

    /// Whether all ranks have the same optimizer state: after local steps, each has its own.
    pub fn shares_optimizer_state(&self) -> bool {
        self.shares_optimizer_state_after(self.step)
    }

    /// Whether all ranks have the same optimizer state after `done` steps of the run.
    pub(crate) fn shares_optimizer_state_after(&self, done: u64) -> bool {
        self.exchange.ranks() == 1 || self.rhythm().every == 1 || done <= self.job.exchange.every_start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_by_one_until_the_start_then_every_fourth_and_the_last() {
        let rhythm = Rhythm::new(4, 3, 17);
        let at: Vec<u64> = (1..=17).filter(|&done| rhythm.is_synchronised(done)).collect();
        assert_eq!(at, [1, 2, 3, 7, 11, 15, 17]);
        assert_eq!((0..17).filter(|&step| rhythm.is_local(step)).min(), Some(3));
        assert_eq!(rhythm.remainder(), Some(2));
        assert_eq!([1, 3, 4, 7, 8, 17].map(|done| rhythm.before(done)), [0, 2, 3, 3, 7, 15]);
        // Due at 5, 10 and 15.
        assert_eq!(at.into_iter().filter(|&done| rhythm.is_due(5, done)).collect::<Vec<_>>(), [7, 11, 15]);
        assert!(!rhythm.is_due(0, 17));
    }

    #[test]
    fn without_local_steps_all_steps_are_synchronised() {
        for rhythm in
            [Rhythm::new(1, 0, 9), Rhythm::new(0, 0, 9), Rhythm::new(5, 9, 9), Rhythm::new(5, 20, 9)]
        {
            assert!((1..=9).all(|done| rhythm.is_synchronised(done) && rhythm.before(done) == done - 1));
            assert!(!(0..9).any(|step| rhythm.is_local(step)));
            assert_eq!(rhythm.remainder(), None);
            let due: Vec<u64> = (1..=9).filter(|&done| rhythm.is_due(3, done)).collect();
            assert_eq!(due, [3, 6, 9]);
        }
    }

    #[test]
    fn a_period_longer_than_the_stage_ends_with_it() {
        let rhythm = Rhythm::new(100, 5, 12);
        assert_eq!((5..=12).filter(|&done| rhythm.is_synchronised(done)).collect::<Vec<_>>(), [5, 12]);
        assert_eq!(rhythm.remainder(), Some(7));
    }

    proptest! {
        #[test]
        fn the_times_before_are_those_of_synchronisation(
            every in 1u64..12, start in 0u64..30, length in 1u64..60, interval in 1u64..20
        ) {
            let end = start + length;
            let rhythm = Rhythm::new(every, start, end);
            let mut last = 0;
            for done in 1..=end {
                prop_assert_eq!(rhythm.before(done), last);
                let is_due = (last + 1..=done).any(|step| step.is_multiple_of(interval));
                prop_assert_eq!(rhythm.is_due(interval, done), is_due);
                // Between two synchronisations there are only local steps.
                prop_assert_eq!(rhythm.is_synchronised(done) && last + 1 == done || rhythm.is_local(done - 1), true);
                if rhythm.is_synchronised(done) {
                    last = done;
                }
            }
            prop_assert_eq!(last, end);
        }
    }
}
