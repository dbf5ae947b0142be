//! From a job to a run that is ready for its next step: agreed on, built, and where it resumes, restored.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::build::build_graph;
use super::evaluate::Evaluator;
use super::placement::place;
use super::run::{Options, Run};
use super::run_dir::RunDir;
use super::state::restore;
use super::stretch::Stretch;
use super::trainer::Trainer;
use super::world::World;
use crate::checkpoint::{self, Snapshot, Store};
use crate::data::{self, Fill, Images, Normalise};
use crate::error::{Error, Result};
use crate::job::{Job, Loaded};
use crate::nn::Shape;
use crate::report::{Event, Metrics};

impl<'a> Run<'a> {
    /// Prepares the run and says so.
    pub(super) fn start(
        loaded: &'a Loaded,
        options: &Options,
        world: &mut World,
        sink: &'a mut dyn FnMut(&Event),
    ) -> Result<Run<'a>> {
        let job = &loaded.job;
        world.agree("the hash of the job", job.hash())?;
        let placement = place(world)?;
        let opened = check_batch(loaded, world).and_then(|()| open_data(job));
        let (train, evaluation, set) = world.together(opened)?;
        world.agree("the hash of the training data", xxh3_64(&train.pixels) ^ xxh3_64(&train.labels))?;
        let built = build_trainer(loaded, train, world.size());
        let (trainer, fill) = world.together(built)?;
        let run_dir = RunDir::open(job, options.run_dir.as_deref(), options.resume, world)?;
        let mut run = Run {
            job,
            trainer,
            evaluator: Evaluator::new(evaluation, fill),
            set,
            stretch: Stretch::default(),
            store: None,
            metrics: None,
            sink,
            best: None,
            last: None,
            owes_evaluation: false,
            checkpoint: PathBuf::new(),
            first_step: 0,
            training_seconds: 0.0,
            bytes_sent: 0,
        };
        let notes = run.open_store(&run_dir, options.resume, world)?;
        run.say(Event::Start {
            job: job.name.clone(),
            run_dir: run_dir.path().into(),
            ranks: world.size(),
            hosts: placement.hosts,
            blas_threads: placement.threads,
            blas_reason: placement.reason,
            parameters: run.trainer.network.parameters.values.len(),
            ternary_parameters: run.trainer.exchange().ternary_parameters(),
            samples: run.trainer.training_samples(),
            step: run.first_step,
            steps: run.trainer.steps,
        })?;
        let step = run.first_step;
        notes.into_iter().try_for_each(|text| run.say(Event::Note { step, text }))?;
        Ok(run)
    }

    /// Opens the checkpoints and, to resume, goes to the latest of them, on every rank alike. Returns what is worth
    /// saying about that.
    fn open_store(&mut self, run_dir: &RunDir, resume: bool, world: &mut World) -> Result<Vec<String>> {
        let keep = NonZeroUsize::new(self.job.checkpoint.keep).unwrap_or(NonZeroUsize::MIN);
        // Rank 0 alone opens the store, which cleans up what a killed run has left; the others only read, after it.
        let opened = (world.rank() == 0).then(|| Store::open(run_dir.path(), keep)).transpose();
        let store = world.together(opened)?;
        let notes = if resume {
            let newest = store.as_ref().map(|store| self.newest(store, run_dir)).transpose();
            let path: PathBuf = world.together(newest)?.unwrap_or_default();
            let path: PathBuf = world.broadcast(&path.display().to_string())?.into();
            let resumed = self.resume_from(&path, world.size());
            let notes = world.together(resumed)?;
            let written = if world.rank() == 0 { run_dir.write_job(self.job) } else { Ok(()) };
            world.together(written)?;
            notes
        } else {
            Vec::new()
        };
        self.first_step = self.trainer.step;
        self.verify(world)?;
        self.store = store;
        let metrics =
            (world.rank() == 0).then(|| Metrics::open(run_dir.metrics(), self.first_step)).transpose();
        self.metrics = world.together(metrics)?;
        Ok(notes)
    }

    /// The newest checkpoint of `store`, which must be whole.
    fn newest(&self, store: &Store, run_dir: &RunDir) -> Result<PathBuf> {
        let (path, _) = store
            .load_latest()?
            .ok_or_else(|| Error::run_dir(run_dir.path(), "holds no checkpoint to resume from"))?;
        Ok(path)
    }

    fn resume_from(&mut self, path: &Path, world: usize) -> Result<Vec<String>> {
        let snapshot = checkpoint::load(path)?;
        restore(&mut self.trainer, &snapshot).map_err(|message| Error::checkpoint(path, message))?;
        let notes = self.what_differs(&snapshot, world);
        self.owes_evaluation =
            self.trainer.step > 0 && self.evaluation_is_due() && snapshot.progress.metrics.is_empty();
        self.best = snapshot.progress.best;
        self.checkpoint = path.into();
        Ok(notes)
    }

    /// What makes this run another than the one that wrote `snapshot`.
    fn what_differs(&self, snapshot: &Snapshot, world: usize) -> Vec<String> {
        let mut notes = Vec::new();
        match Job::from_toml(&snapshot.job).map(|stored| stored.differences(self.job)) {
            Ok(differences) if differences.is_empty() => {}
            Ok(differences) => {
                notes.push(format!("the job differs from the checkpoint's: {}", differences.join("; ")))
            }
            Err(error) => notes.push(format!("the checkpoint's job cannot be compared: {error}")),
        }
        if snapshot.progress.world != world as u64 {
            let before = snapshot.progress.world;
            notes.push(format!(
                "on {before} ranks until now, on {world} from here: batches and their order stay, but ternary rounding \
                 and the order of sums differ from a run on {before}"
            ));
        }
        notes
    }
}

fn check_batch(loaded: &Loaded, world: &World) -> Result<()> {
    let (batch, ranks) = (loaded.job.train.global_batch, world.size());
    if batch >= ranks {
        return Ok(());
    }
    let message = format!(
        "a global batch of {batch} leaves some of {ranks} ranks without a sample; raise it or start fewer ranks"
    );
    Err(Error::Job { at: loaded.source.at("train.global_batch"), message })
}

/// The training set, the set to evaluate on, and what the latter is called.
fn open_data(job: &Job) -> Result<(Images, Images, &'static str)> {
    let mut dataset = data::open(&job.data.dataset, job.data.dir.as_deref())?;
    match job.data.validation {
        0 => Ok((dataset.train, dataset.test, "test")),
        count => {
            let validation = dataset.hold_out(count)?;
            Ok((dataset.train, validation, "validation"))
        }
    }
}

/// The trainer, and how its data is turned into network inputs; objections carry the job file's line.
fn build_trainer(loaded: &Loaded, train: Images, world: usize) -> Result<(Trainer, Fill)> {
    let (job, source) = (&loaded.job, &loaded.source);
    let blame = |path: &str, error: Error| match error {
        Error::Usage(message) => Error::Job { at: source.at(path), message },
        other => other,
    };
    let input = Shape::Image { channels: train.channels, height: train.height, width: train.width };
    let graph = build_graph(&job.model, source, input, train.classes)?;
    let normalise = job.data.mean.clone().zip(job.data.std.clone());
    let normalise = normalise.map(|(mean, std)| Normalise { mean, std });
    let fill = Fill::new(&train, normalise.as_ref()).map_err(|error| blame("data.mean", error))?;
    let trainer = Trainer::new(job, graph, train, fill.clone(), world)
        .map_err(|error| blame("exchange.keep_float", error))?;
    Ok((trainer, fill))
}
