//! The checkpoints of a run: rank 0 writes them, and all ranks know the path of the last one.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::run::steps::Run;
use crate::state::snapshot::Gathered;
use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{Newest, Store};
use ternflock_data::Preparation;
use ternflock_job::Job;
use ternflock_report::Event;
use ternflock_world::World;

/// The checkpoints of a run.
pub(crate) struct RunCheckpoints {
    /// On rank 0.
    store: Option<Store>,
    /// Whether the checkpoint of the best evaluation is kept.
    keeps_best: bool,
    /// The last checkpoint that the run wrote or resumed from; empty before the first.
    last: PathBuf,
}

impl RunCheckpoints {
    /// Opens the checkpoints in `run_dir`, as `job` keeps them. Only rank 0 opens the store, which cleans up after a killed
    /// run; the other ranks read checkpoints afterwards.
    ///
    /// # Errors
    /// If rank 0 cannot, on all ranks.
    pub fn open(job: &Job, run_dir: &Path, world: &mut World) -> Result<RunCheckpoints> {
        let keep = NonZeroUsize::new(job.checkpoint.keep).unwrap_or(NonZeroUsize::MIN);
        let opened = (world.rank() == 0).then(|| Store::open(run_dir, keep)).transpose();
        let store = world.all_or_none(opened)?;
        Ok(RunCheckpoints { store, keeps_best: job.checkpoint.best, last: PathBuf::new() })
    }

    /// The newest intact checkpoint, on rank 0. If there is none, there must be no best checkpoint either, because a fresh
    /// start would replace it.
    ///
    /// # Errors
    /// If rank 0 cannot read them, on all ranks.
    pub fn newest(&self, world: &mut World) -> Result<Option<Newest>> {
        let newest = |store: &Store| {
            let newest = store.load_newest()?;
            match store.best() {
                Some(best) if newest.is_none() => {
                    let message =
                        "stands here without any checkpoint to resume from; move it away to start at step 0";
                    Err(Error::checkpoint(best, message))
                }
                _ => Ok(newest),
            }
        };
        let newest = self.store.as_ref().map(newest).transpose();
        Ok(world.all_or_none(newest)?.flatten())
    }

    /// Moves aside, on rank 0, all entries that stand where new checkpoints will be written. Returns a note for each.
    ///
    /// # Errors
    /// If rank 0 cannot, on all ranks.
    pub fn clear_the_way(&self, world: &mut World) -> Result<Vec<String>> {
        let cleared = self.store.as_ref().map_or(Ok(Vec::new()), Store::clear_the_way);
        world.all_or_none(cleared)
    }

    /// Keeps a copy of the checkpoint at `path`, whose parameters a new run begins with.
    ///
    /// # Errors
    /// If rank 0 cannot, on all ranks.
    pub fn keep_start(&self, path: &Path, run_dir: &Path, world: &mut World) -> Result<()> {
        let is_kept = path == Store::start_path(run_dir);
        let store = self.store.as_ref().filter(|_| !is_kept);
        world.all_or_none(store.map_or(Ok(()), |store| store.keep_start(path)))
    }

    /// Records that the run resumes from the checkpoint at `path`; `is_best` says whether it holds the best evaluation. The run
    /// may have been killed after it wrote this checkpoint and before it copied it as the best or as the last of its stage.
    ///
    /// # Errors
    /// If this rank is rank 0 and cannot copy it.
    pub fn resume_from(&mut self, path: &Path, is_best: bool, ended_stage: Option<&str>) -> Result<()> {
        if let Some(store) = &self.store {
            if is_best && self.keeps_best {
                store.make_best(path)?;
            }
            ended_stage.map_or(Ok(()), |name| store.keep_stage(path, name))?;
        }
        self.last = path.into();
        Ok(())
    }

    /// Records the checkpoint that rank 0 has `written` as the last one. No rank continues before it is complete.
    fn finish(&mut self, written: Result<Option<PathBuf>>, world: &mut World) -> Result<()> {
        let path = world.all_or_none(written)?.unwrap_or_default();
        self.last = world.broadcast(&path.display().to_string())?.into();
        Ok(())
    }

    /// The path of the last checkpoint.
    pub fn last(&self) -> &Path {
        &self.last
    }

    /// Whether the checkpoint of the best evaluation is kept too.
    pub fn keeps_best(&self) -> bool {
        self.keeps_best
    }

    /// The store, on rank 0.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// The checkpoint of the best evaluation, on rank 0. None if the job does not keep it: an existing `best.h5` is then older
    /// than the latest evaluations.
    pub fn best(&self) -> Option<PathBuf> {
        self.store.as_ref().filter(|_| self.keeps_best).and_then(Store::best)
    }

    /// The last checkpoints of the stages of `job` up to stage `now`, on rank 0.
    pub fn of_stages(&self, job: &Job, now: usize) -> Vec<PathBuf> {
        let stages = job.stages.iter().take(now + 1);
        let paths =
            self.store.iter().flat_map(|store| stages.clone().map(|stage| store.stage_path(&stage.name)));
        paths.filter(|path| path.exists()).collect()
    }
}

impl Run<'_> {
    /// Writes a checkpoint.
    pub(crate) fn save(&mut self, world: &mut World, is_best: bool) -> Result<()> {
        world.set_context(format_args!("step {}, checkpoint", self.trainer.step));
        let gathered = self.trainer.gather(world)?;
        let write = |store| self.write(store, &gathered, world.size(), is_best);
        let written = self.checkpoints.store.as_ref().map(write).transpose();
        self.checkpoints.finish(written, world)?;
        let path = self.checkpoints.last.clone();
        self.log.write(Event::Checkpoint { step: self.trainer.step, path })
    }

    fn write(&self, store: &Store, gathered: &Gathered, ranks: usize, is_best: bool) -> Result<PathBuf> {
        let stage = self.stages.stage().map(|stage| stage.name.as_str());
        let best = self.evaluations.best().cloned();
        let mut snapshot = self.trainer.snapshot(gathered, self.job, ranks, stage, best);
        snapshot.vocabulary =
            self.data.vocabulary.as_ref().map_or(Vec::new(), |words| words.words().to_vec());
        snapshot.preparation = self.data.preparation.as_ref().map_or(String::new(), Preparation::to_json);
        snapshot.data = self.data.identity.clone();
        if let Some((_, tally)) = self.evaluations.last().filter(|(step, _)| *step == self.trainer.step) {
            let score = self.trainer.task().score(&tally);
            let metrics = [(score.name(), score.value()), ("loss", tally.mean_loss())];
            let named = metrics.map(|(name, value)| (format!("{}_{name}", self.data.set), value));
            snapshot.progress.metrics.extend(named);
        }
        // Events first, then the checkpoint: a run that resumes from it has all events up to it, even after a power
        // failure.
        self.log.sync()?;
        let path = store.save(&snapshot, is_best)?;
        self.ended_stage().map_or(Ok(()), |name| store.keep_stage(&path, name))?;
        Ok(path)
    }

    /// The name of the stage that ends with the present step, if one does.
    pub(crate) fn ended_stage(&self) -> Option<&str> {
        let stage = self.stages.stage().filter(|_| self.trainer.step == self.trainer.steps);
        stage.map(|stage| stage.name.as_str())
    }
}
