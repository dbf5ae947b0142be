//! Where a run begins: at a checkpoint of its own, at one that the job gives, or with what was drawn.

use std::path::{Path, PathBuf};

use crate::run::stages::find;
use crate::run::steps::Run;
use crate::run::surgery::enter;
use crate::state::checkpoint::{restore, take_parameters, what_becomes_of_residuals};
use crate::state::run_record::RunRecord;
use crate::state::trained_on::{check_split, differences, learnt_validation};
use crate::step::statistics;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_checkpoint::{self as checkpoint, Newest, Progress, Snapshot, Store};
use ternflock_data::Vocabulary;
use ternflock_job::{Difference, Job, Stage};
use ternflock_nn::Graph;
use ternflock_tensor as tensor;
use ternflock_world::World;

/// What is known about a resumed run before its checkpoints are read.
pub(crate) struct Resumed {
    /// Its record from now on.
    pub record: RunRecord,
    /// The changes of its job.
    pub changes: Vec<Difference>,
    /// Notes for the log.
    pub notes: Vec<String>,
}

impl Run<'_> {
    /// Goes to the newest checkpoint that is whole; a run that was ended before its first one starts again.
    pub(crate) fn resume(
        &mut self,
        resumed: Resumed,
        same_ranks: bool,
        world: &mut World,
    ) -> Result<Vec<String>> {
        let Resumed { record, changes, mut notes } = resumed;
        let newest = self.store.as_ref().map(|store| self.newest(store)).transpose();
        let newest = world.all_or_none(newest)?.flatten();
        let cleared = self.store.as_ref().map_or(Ok(Vec::new()), Store::clear_the_way);
        let cleared = world.all_or_none(cleared)?;
        let path = newest.as_ref().map(|newest| newest.path.display().to_string());
        let path: PathBuf = world.broadcast(&path.unwrap_or_default())?.into();
        if path.as_os_str().is_empty() {
            notes.push("there is no checkpoint yet to resume from: starting at step 0".into());
            notes.extend((!changes.is_empty()).then(|| say_changes("the run's", &changes)));
            notes.extend(self.begin(world)?);
        } else {
            let passed_over = newest.as_ref().map_or(Vec::new(), |newest| newest.passed_over.clone());
            let snapshot = newest.map_or_else(|| checkpoint::load(&path), |newest| Ok(newest.snapshot));
            let resumed = snapshot.and_then(|snapshot| self.resume_from(&path, snapshot, same_ranks, world));
            let resumed = world.all_or_none(resumed)?;
            notes.extend(passed_over);
            notes.extend(resumed);
        }
        notes.extend(cleared);
        let written = if world.rank() == 0 { self.run_dir.keep(self.job, &record) } else { Ok(()) };
        world.all_or_none(written)?;
        Ok(notes)
    }

    /// The newest checkpoint that is whole. Without one there must be no best one either, which a fresh start would replace.
    fn newest(&self, store: &Store) -> Result<Option<Newest>> {
        let newest = store.load_newest()?;
        match store.best() {
            Some(best) if newest.is_none() => {
                let message =
                    "stands here without any checkpoint to resume from; move it away to start at step 0";
                Err(Error::checkpoint(best, message))
            }
            _ => Ok(newest),
        }
    }

    fn resume_from(
        &mut self,
        path: &Path,
        snapshot: Snapshot,
        same_ranks: bool,
        world: &World,
    ) -> Result<Vec<String>> {
        let stored = Job::from_toml(&snapshot.job)
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
        if stored.exchange.gradients == self.job.exchange.gradients {
            self.resumed_choice = snapshot.progress.gradients.or(Some(stored.exchange.gradients));
        }
        notes.extend(what_becomes_of_residuals(&self.trainer, &snapshot, world.size()));
        notes.extend(statistics::what_becomes(&self.trainer.network, &snapshot, world.size()));
        restore(&mut self.trainer, &snapshot, world.rank(), world.size())
            .map_err(|message| Error::checkpoint(path, message))?;
        // The run may have been killed after it wrote its best checkpoint and before it made it the best.
        let is_best = snapshot.progress.best.as_ref().is_some_and(|best| best.step == snapshot.progress.step);
        if let Some(store) = &self.store {
            if is_best && self.job.checkpoint.best {
                store.make_best(path)?;
            }
            self.keep_stage(store, path)?;
        }
        self.owes_evaluation =
            self.trainer.step > 0 && self.evaluation_is_due() && snapshot.progress.metrics.is_empty();
        self.evaluated = (!snapshot.progress.metrics.is_empty()).then_some(self.trainer.step);
        self.best = snapshot.progress.best;
        self.checkpoint = path.into();
        if self.trainer.step == self.trainer.steps && !self.stages.has_next() {
            notes.push(format!(
                "the run is complete already: all of its {} {} done",
                self.trainer.steps,
                if self.trainer.steps == 1 { "step is" } else { "steps are" }
            ));
        }
        Ok(notes)
    }

    /// Where a run begins that does not resume: with the parameters of a checkpoint, if the job gives one, and with the surgery
    /// of its first stage.
    pub(crate) fn begin(&mut self, world: &mut World) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        if let Some(path) = self.begins_with.take() {
            let taken = checkpoint::load(&path).and_then(|snapshot| {
                self.check_vocabulary(&snapshot)
                    .and_then(|()| take_parameters(&mut self.trainer.network, &snapshot))
                    .map_err(|message| Error::checkpoint(&path, message))
                    .map(|()| learnt_validation(&path, &snapshot, self.job, &self.data))
            });
            notes.extend(world.all_or_none(taken)?);
            let kept = Store::start_path(self.run_dir.path());
            let store = self.store.as_ref().filter(|_| path != kept);
            world.all_or_none(store.map_or(Ok(()), |store| store.keep_start(&path)))?;
        }
        notes.extend(enter(&self.stages, &mut self.trainer, world)?);
        Ok(notes)
    }

    /// Goes to the stage that `snapshot` is in, with the network that it holds: surgery may have made it another than the job's.
    fn go_to_stage(&mut self, snapshot: &Snapshot, world: &World) -> std::result::Result<(), String> {
        let stored = snapshot.progress.stage.as_ref();
        self.stages.now = find(self.job, stored.map(|stage| stage.name.as_str()))?;
        let (Some(stored), Some(stage)) = (stored, self.stages.stage()) else {
            let (step, steps) = (snapshot.progress.step, self.trainer.steps);
            return if step <= steps {
                Ok(())
            } else {
                Err(format!(
                    "is at step {step}, and the job ends after {steps}: give the job it was trained with, or start a new run"
                ))
            };
        };
        let cut = |stage: &Stage| stage.shrink.is_some() || stage.low_rank.is_some();
        let mut graph = self.trainer.network.graph().clone();
        if self.job.stages[..=self.stages.now].iter().any(cut) {
            let held = Graph::from_json(&snapshot.network).map_err(|error| error.to_string())?;
            if (held.input(), held.output()) != (graph.input(), graph.output()) {
                return Err(
                    "holds a network for other data than the job's; give the job it was trained with".into(),
                );
            }
            graph = held;
        }
        if snapshot.progress.step < stored.start || snapshot.progress.step < stored.optimizer_start {
            return Err(format!("is at step {}, before the stage that it is in", snapshot.progress.step));
        }
        if snapshot.progress.step > stored.start + self.stages.length() {
            return Err(format!(
                "is {} into stage `{}`, which the job ends after {}; give the job it was trained with, or an \
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

    /// Refuses a checkpoint whose words are not those of the data: the same number would be another word.
    fn check_vocabulary(&self, snapshot: &Snapshot) -> std::result::Result<(), String> {
        let Some(mine) = &self.vocabulary else { return Ok(()) };
        let difference = Vocabulary::of(snapshot.vocabulary.clone())?.difference(mine);
        difference.map_or(Ok(()), |difference| {
            Err(format!(
                "its vocabulary is not that of the data ({difference}): give the text it was trained on, or start a new run"
            ))
        })
    }

    /// Refuses a checkpoint that was trained on other data than those that were read: its counters would refer to other
    /// samples, and its best evaluation would not be comparable.
    fn check_data(&self, path: &Path, snapshot: &Snapshot) -> Result<()> {
        let differences = differences(snapshot, &self.data);
        if differences.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the data are not those that {} was trained on: {}; put them back, or start a new run (model.checkpoint gives it \
             these parameters)",
            path.display(),
            differences.join("; ")
        );
        Err(Error::data(&self.job.data.dataset, message))
    }

    /// What makes this run another than the one of the job `stored` that came to `progress`; what would make nonsense of its counters is
    /// refused.
    fn what_differs(
        &self,
        path: &Path,
        stored: &Job,
        progress: &Progress,
        world: usize,
    ) -> Result<Vec<String>> {
        let differences = stored.differences(self.job);
        if let Some(difference) =
            differences.iter().find(|difference| FIXED.iter().any(|key| difference.key.starts_with(key)))
        {
            let message = format!(
                "cannot be resumed with another order of samples ({difference}): give the job it was trained with, or \
                 start a new run"
            );
            return Err(Error::checkpoint(path, message));
        }
        let mut notes = Vec::new();
        if !differences.is_empty() {
            notes.push(say_changes("the checkpoint's", &differences));
        }
        if progress.ranks != world as u64 {
            notes.push(format!(
                "on {} until now, on {world} from here: batches and their order stay, but ternary rounding and \
                 the order of sums differ from a run on {}",
                plural(progress.ranks as usize, "rank"),
                progress.ranks
            ));
        }
        let threads = tensor::threads() as u64;
        if progress.threads != threads {
            notes.push(format!(
                "compute threads of rank 0 were {} until now and are {threads} from here: sums are rounded differently, so the \
                 weights will not be bit-identical to those of an uninterrupted run (OPENBLAS_NUM_THREADS={} would make \
                 them so)",
                progress.threads, progress.threads
            ));
        }
        notes.extend(what_computes_differently(progress));
        Ok(notes)
    }
}

/// Changes since `progress` was recorded that make sums round differently: other BLAS kernels, or other vector
/// instructions.
fn what_computes_differently(progress: &Progress) -> Option<String> {
    let changed = |what: &str, before: &Option<String>, now: &str| {
        let before = before.as_deref().filter(|before| *before != now)?;
        Some(format!("{what} was {before} until now and is {now} from here"))
    };
    let changes = [
        changed("BLAS of rank 0", &progress.blas, &tensor::blas().to_string()),
        changed(
            "the widest vector instruction set of rank 0",
            &progress.vectors,
            tensor::vector_instructions(),
        ),
    ];
    let changes: Vec<String> = changes.into_iter().flatten().collect();
    (!changes.is_empty()).then(|| {
        format!(
            "{}: sums are rounded differently, so the weights will not be bit-identical to those of an uninterrupted run",
            changes.join("; ")
        )
    })
}

/// A note that the job differs from `whose`.
fn say_changes(whose: &str, differences: &[Difference]) -> String {
    let all: Vec<_> = differences.iter().map(ToString::to_string).collect();
    format!("the job differs from {whose}: {}", all.join("; "))
}

/// Keys of a job that decide which samples a step sees.
const FIXED: [&str; 13] = [
    "data.dataset",
    "data.samples",
    "data.tokens",
    "data.validation",
    "data.train",
    "data.held_out",
    "data.level",
    "data.lowercase",
    "data.punctuation",
    "data.vocabulary",
    "data.sequence_length",
    "train.global_batch",
    "train.seed",
];
