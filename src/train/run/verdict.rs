//! The outcome of a complete run: the network that its evaluations chose, and its score on the test set. If
//! the network is chosen on a validation set, the test set is evaluated only here, once.

use std::path::{Path, PathBuf};

use crate::run::steps::Run;
use crate::setup::feeds::TEST;
use crate::state::restore::take_parameters;
use crate::step::evaluate::{Evaluator, evaluate};
use crate::step::statistics::with_averaged;
use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{self as checkpoint, Best, Store};
use ternflock_nn::{Evaluation, Network};
use ternflock_report::{Chosen, Event, Scores, Test};
use ternflock_world::World;

impl Run<'_> {
    /// Chooses the network and evaluates it on the test set, if there is one and it has not chosen the network. Afterwards
    /// the trainer holds that network, so no step may follow.
    pub(crate) fn judge(&mut self, world: &mut World) -> Result<(Chosen, Option<Test>)> {
        let (chosen, task) = (self.choose(world)?, self.trainer.task());
        let network_step = chosen.step;
        let Some(feed) = self.data.test.take() else {
            let samples = task.count(self.evaluations.last().map_or(0, |(_, last)| last.tally.samples));
            let (score, loss, others) = (chosen.score, chosen.loss, Scores::default());
            let test = Test { network_step, score, others, loss, samples };
            // Without a test set, the validation set has judged nothing.
            return Ok((chosen, (self.data.set == TEST).then_some(test)));
        };
        world.set_context(format_args!("step {}, evaluation of the test set", self.trainer.step));
        let network = &mut self.trainer.network;
        let evaluator = Evaluator::new(feed, &self.job.task);
        let mut evaluator = world.all_or_none(evaluator)?;
        let mut run = |network: &mut Network, world: &mut World| evaluate(&mut evaluator, network, world);
        // A checkpoint already holds the mean of the statistics over all ranks.
        let evaluation: Evaluation = match network_step == self.trainer.step {
            true => with_averaged(network, world, run)?,
            false => run(network, world)?,
        };
        let (score, others) = (task.score(&evaluation), task.other_scores(&evaluation));
        let (loss, samples) = (Some(evaluation.tally.mean_loss()), task.count(evaluation.tally.samples));
        let test = Test { network_step, score, others, loss, samples };
        let (step, checkpoint) = (self.trainer.step, chosen.checkpoint.clone());
        self.log.write(Event::Test { step, set: TEST, checkpoint, test: test.clone() })?;
        Ok((chosen, Some(test)))
    }

    /// The network of the best evaluation if its checkpoint is kept, otherwise the last network.
    fn choose(&mut self, world: &mut World) -> Result<Chosen> {
        let task = self.trainer.task();
        if let Some(best) = self.evaluations.best().cloned().filter(|_| self.checkpoints.keeps_best())
            && let Some(checkpoint) = self.take_best(&best, world)?
        {
            let Best { step, value, loss, .. } = best;
            return Ok(Chosen { step, checkpoint, score: task.measure(value), loss });
        }
        let checkpoint = self.checkpoints.last().into();
        Ok(match self.evaluations.last() {
            Some((step, last)) => {
                let (score, loss) = (task.score(last), Some(last.tally.mean_loss()));
                Chosen { step: *step, checkpoint, score, loss }
            }
            None => Chosen { step: self.trainer.step, checkpoint, score: task.measure(f64::NAN), loss: None },
        })
    }

    /// Loads the network of the evaluation `best` into the trainer, on all ranks. Returns its checkpoint, or `None` if
    /// it is missing, of another step or damaged, with a note: a run that has done all of its steps must not fail for
    /// that.
    fn take_best(&mut self, best: &Best, world: &mut World) -> Result<Option<PathBuf>> {
        let is_last = best.step == self.trainer.step;
        let network = &mut self.trainer.network;
        // The other ranks may not see the files of rank 0.
        let lost = |what: &str| Err(Error::checkpoint(self.run_dir.path().join("checkpoints/best.h5"), what));
        let taken = match self.checkpoints.store().map(Store::best) {
            Some(path) if is_last => Ok(path),
            Some(Some(path)) => match take(network, &path, best.step) {
                Ok(false) => lost("is of another step"),
                Ok(true) => Ok(Some(path)),
                Err(error) => Err(error),
            },
            Some(None) => lost("is missing"),
            None => Ok(None),
        };
        let (path, damage) = match taken {
            Ok(path) => (path.map_or_else(String::new, |path| path.display().to_string()), String::new()),
            Err(error) => (String::new(), error.to_string()),
        };
        let (path, damage) = (world.broadcast(&path)?, world.broadcast(&damage)?);
        if !damage.is_empty() {
            let (step, best) = (self.trainer.step, best.step);
            let text = format!(
                "{damage}; the network of the last step is used instead of that of step {best}, which had \
                 the best evaluation"
            );
            self.log.note(step, text)?;
        }
        if path.is_empty() {
            return Ok(None);
        }
        let network = &mut self.trainer.network;
        if !is_last {
            world.broadcast_values(&mut network.parameters.values)?;
            world.broadcast_values(&mut network.parameters.statistics.values)?;
        }
        Ok(Some(path.into()))
    }
}

/// Loads the parameters of the checkpoint at `path` into `network`, if the checkpoint is that of step `step`.
fn take(network: &mut Network, path: &Path, step: u64) -> Result<bool> {
    let snapshot = checkpoint::load(path)?;
    if snapshot.progress.step != step {
        return Ok(false);
    }
    take_parameters(network, &snapshot).map_err(|message| Error::checkpoint(path, message))?;
    Ok(true)
}
