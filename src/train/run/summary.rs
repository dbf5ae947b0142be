//! The summary that ends the log of a run, whether it is complete, interrupted or failed.

use crate::run::steps::Run;
use ternflock_base::error::Error;
use ternflock_report::{Chosen, Ending, Event, Summary, Test};
use ternflock_world::World;

impl Run<'_> {
    /// The outcome of a run that took `seconds`; the run is complete if it has a verdict.
    pub(crate) fn summary(
        &self,
        world: &World,
        verdict: Option<(Chosen, Option<Test>)>,
        seconds: f64,
    ) -> Summary {
        let complete = verdict.is_some();
        let last = self.evaluations.last().filter(|_| complete).map(|(_, last)| last);
        let task = self.trainer.task();
        Summary {
            step: self.trainer.step,
            complete,
            ending: Ending::of(complete),
            set: self.data.set,
            score: last.map_or(task.measure(f64::NAN), |last| task.score(last)),
            loss: last.map(|last| last.tally.mean_loss()),
            test: verdict.as_ref().and_then(|(_, test)| test.clone()),
            chosen: verdict.map(|(chosen, _)| chosen),
            seconds,
            speed: self.progress.speed(&self.trainer),
            traffic: self.progress.traffic(&self.trainer, world),
            stages: self.checkpoints.of_stages(self.job, self.stages.now),
            checkpoint: self.checkpoints.last().into(),
            best_checkpoint: self.checkpoints.best(),
        }
    }

    /// Logs that `error` ended the run. If that fails, for example because the disk is full, the record is lost, but
    /// `error` is still reported.
    pub(crate) fn log_failure(&mut self, error: &Error) {
        let ending = Ending::by(error.kind());
        let step = if let Error::NonFinite { step, .. } = error { *step } else { self.trainer.step };
        let _ = self.log.write(Event::Failed { step, complete: false, ending, error: error.to_string() });
    }
}
