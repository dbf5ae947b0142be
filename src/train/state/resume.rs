//! Decides where a run begins: at a checkpoint of its own, at one that the job names, or with freshly drawn
//! parameters.

use std::path::{Path, PathBuf};

use crate::run::evaluations::Evaluations;
use crate::run::stages::find;
use crate::run::steps::Run;
use crate::run::surgery::enter;
use crate::state::changed_slots::changed_slots;
use crate::state::changes::describe_changes;
use crate::state::restore::take_parameters;
use crate::state::run_record::RunRecord;
use crate::state::trained_on::{check_split, learnt_validation};
use crate::step::statistics;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_checkpoint::{self as checkpoint, Progress, Snapshot};
use ternflock_job::{Difference, Gradients, Job, Stage};
use ternflock_nn::Graph;
use ternflock_world::World;

/// Facts about a resumed run that are known before its checkpoints are read.
pub(crate) struct Resumed {
    /// Its record from now on.
    pub record: RunRecord,
    /// The changes to its job.
    pub changes: Vec<Difference>,
    /// Notes for the log.
    pub notes: Vec<String>,
}

/// Where a run begins.
pub(crate) struct Beginning {
    /// Notes for the log.
    pub notes: Vec<String>,
    /// How a resumed run has averaged its gradients so far, unless the job now says otherwise.
    pub gradients: Option<Gradients>,
}

impl Run<'_> {
    /// Restores the newest intact checkpoint. A run that ended before its first one starts again, with the
    /// parameters of the checkpoint `begins_with` if its job names one.
    pub(crate) fn resume(
        &mut self,
        resumed: Resumed,
        begins_with: Option<PathBuf>,
        same_ranks: bool,
        world: &mut World,
    ) -> Result<Beginning> {
        let Resumed { record, changes, mut notes } = resumed;
        let newest = self.checkpoints.newest(world)?;
        let cleared = self.checkpoints.clear_the_way(world)?;
        let mut gradients = None;
        let path = newest.as_ref().map(|newest| newest.path.display().to_string());
        let path: PathBuf = world.broadcast(&path.unwrap_or_default())?.into();
        if path.as_os_str().is_empty() {
            notes.push("there is no checkpoint yet to resume from: starting at step 0".into());
            notes.extend((!changes.is_empty()).then(|| describe_changes("the run's", &changes)));
            notes.extend(self.begin(begins_with, world)?.notes);
        } else {
            let passed_over = newest.as_ref().map_or(Vec::new(), |newest| newest.passed_over.clone());
            let snapshot = newest.map_or_else(|| checkpoint::load(&path), |newest| Ok(newest.snapshot));
            let resumed = snapshot.and_then(|snapshot| self.resume_from(&path, snapshot, same_ranks, world));
            let resumed = world.all_or_none(resumed)?;
            gradients = resumed.gradients;
            notes.extend(passed_over);
            notes.extend(resumed.notes);
        }
        notes.extend(cleared);
        let written = if world.rank() == 0 { self.run_dir.keep(self.job, &record) } else { Ok(()) };
        world.all_or_none(written)?;
        Ok(Beginning { notes, gradients })
    }

    fn resume_from(
        &mut self,
        path: &Path,
        snapshot: Snapshot,
        same_ranks: bool,
        world: &World,
    ) -> Result<Beginning> {
        let stored = Job::from_stored(&snapshot.job)
            .map_err(|error| Error::checkpoint(path, format!("its job cannot be read: {error}")))?;
        check_split(path, &snapshot, &stored, "start a new run")?;
        if same_ranks && snapshot.progress.ranks != world.size() as u64 {
            let message = format!(
                "was written by {}, and --same-ranks forbids resuming with {}: start the same number, or omit the option",
                plural(snapshot.progress.ranks as usize, "rank"),
                world.size()
            );
            return Err(Error::checkpoint(path, message));
        }
        let mut notes = self.what_differs(path, &stored, &snapshot.progress, world.size())?;
        self.check_vocabulary(&snapshot).map_err(|message| Error::checkpoint(path, message))?;
        self.check_data(path, &snapshot)?;
        self.go_to_stage(&snapshot, world).map_err(|message| Error::checkpoint(path, message))?;
        let gradients = (stored.exchange.gradients == self.job.exchange.gradients)
            .then(|| snapshot.progress.gradients.unwrap_or(stored.exchange.gradients))
            .filter(|gradients| *gradients != Gradients::Auto);
        if let Some(gradients) = gradients {
            self.trainer
                .resume_choice(gradients, world.topology())
                .map_err(|error| Error::checkpoint(path, error.to_string()))?;
        }
        notes.extend(changed_slots(&self.trainer, &snapshot, world.size()));
        notes.extend(statistics::what_becomes(&self.trainer.network, &snapshot, world.size()));
        self.trainer
            .restore(&snapshot, world.rank(), world.size())
            .map_err(|message| Error::checkpoint(path, message))?;
        let Progress { step, best, metrics, .. } = snapshot.progress;
        let is_best = best.as_ref().is_some_and(|best| best.step == step);
        let ended_stage = self.ended_stage().map(str::to_owned);
        self.checkpoints.resume_from(path, is_best, ended_stage.as_deref())?;
        let is_due = step > 0 && self.evaluation_is_due();
        self.evaluations = Evaluations::resumed(best, step, !metrics.is_empty(), is_due);
        if self.trainer.step == self.trainer.steps && !self.stages.has_next() {
            notes.push(format!(
                "the run is complete already: all of its {} {} done",
                self.trainer.steps,
                if self.trainer.steps == 1 { "step is" } else { "steps are" }
            ));
        }
        Ok(Beginning { notes, gradients })
    }

    /// Begins a run that does not resume: with the parameters of the checkpoint `begins_with`, if its job
    /// names one, and with the surgery of its first stage.
    pub(crate) fn begin(&mut self, begins_with: Option<PathBuf>, world: &mut World) -> Result<Beginning> {
        let mut notes = Vec::new();
        if let Some(path) = begins_with {
            let taken = checkpoint::load(&path).and_then(|snapshot| {
                self.check_vocabulary(&snapshot)
                    .and_then(|()| take_parameters(&mut self.trainer.network, &snapshot))
                    .map_err(|message| Error::checkpoint(&path, message))
                    .map(|()| learnt_validation(&path, &snapshot, self.job, &self.data.identity))
            });
            notes.extend(world.all_or_none(taken)?);
            self.checkpoints.keep_start(&path, self.run_dir.path(), world)?;
        }
        notes.extend(enter(&self.stages, &mut self.trainer, world)?);
        Ok(Beginning { notes, gradients: None })
    }

    /// Enters the stage that `snapshot` is in, with the network that it holds, which surgery may have changed
    /// from the job's.
    fn go_to_stage(&mut self, snapshot: &Snapshot, world: &World) -> std::result::Result<(), String> {
        let stored = snapshot.progress.stage.as_ref();
        self.stages.now = find(self.job, stored.map(|stage| stage.name.as_str()))?;
        let (Some(stored), Some(stage)) = (stored, self.stages.stage()) else {
            let (step, steps) = (snapshot.progress.step, self.trainer.steps);
            return if step <= steps {
                Ok(())
            } else {
                Err(format!(
                    "is at step {step}, and the job ends after {steps}: use the job it was trained with, or \
                     start a new run"
                ))
            };
        };
        let cut = |stage: &Stage| stage.shrink.is_some() || stage.low_rank.is_some();
        let mut graph = self.trainer.network.graph().clone();
        if self.job.stages[..=self.stages.now].iter().any(cut) {
            let held = Graph::from_json(&snapshot.network).map_err(|error| error.to_string())?;
            if (held.input(), held.output()) != (graph.input(), graph.output()) {
                return Err(
                    "holds a network for data other than the job's; use the job it was trained with".into()
                );
            }
            graph = held;
        }
        if snapshot.progress.step < stored.start || snapshot.progress.step < stored.optimizer_start {
            return Err(format!("is at step {}, before the stage that it is in", snapshot.progress.step));
        }
        if snapshot.progress.step > stored.start + self.stages.length() {
            return Err(format!(
                "is {} into stage `{}`, which the job ends after {}; use the job it was trained with, or an \
                 earlier checkpoint",
                plural((snapshot.progress.step - stored.start) as usize, "step"),
                stored.name,
                self.stages.length()
            ));
        }
        let settings = self.stages.settings(&graph);
        let trainer = &mut self.trainer;
        trainer
            .set_up(settings, graph, stage.freeze_zeros, world.topology())
            .map_err(|error| error.to_string())?;
        (trainer.start, trainer.optimizer_start) = (stored.start, stored.optimizer_start);
        trainer.steps = stored.start + self.stages.length();
        Ok(())
    }
}
