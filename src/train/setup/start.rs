//! From a job to a run that is ready for its next step: agreed on and built; where it begins is told in `resume`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use ternflock_collectives::topology::Topology;
use xxhash_rust::xxh3::xxh3_64;

use crate::exchange::float32_layers;
use crate::run::log_interval::LogInterval;
use crate::run::stages::{Stages, check};
use crate::run::steps::{Options, Run};
use crate::setup::construct::{TEST, build_graph, open_feeds};
use crate::setup::placement::{Placement, place};
use crate::setup::room::check_room;
use crate::state::hash::program_hash;
use crate::state::own_job::TakenUp;
use crate::state::resume::Resumed;
use crate::state::run_dir::RunDir;
use crate::state::trained_on::{named, no_split};
use crate::step::batch::Batch;
use crate::step::evaluate::Evaluator;
use crate::step::trainer::Trainer;
use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{Data, Store};
use ternflock_data::{Facts, Feeds, TrainingFeed, Vocabulary, shard};
use ternflock_job::{Loaded, Model};
use ternflock_nn::{Graph, Shape};
use ternflock_report::{Event, Metrics};
use ternflock_tensor::{check_blas_room, threads};
use ternflock_world::World;

impl<'a> Run<'a> {
    /// Prepares the run and says so.
    pub(crate) fn start(
        loaded: &'a Loaded,
        options: &Options,
        taken_up: Option<TakenUp>,
        world: &mut World,
        sink: &'a mut dyn FnMut(&Event),
    ) -> Result<Run<'a>> {
        let job = &loaded.job;
        world.agree("the hash of the run's own job", job.hash())?;
        let placement = place(world)?;
        let feeds = read(loaded, world)?;
        let remarks = feeds.remarks();
        let Feeds { train, evaluation, set, test, vocabulary } = feeds;
        let data = identify(train.facts(), set, evaluation.facts(), test.as_ref().map(|test| test.facts()));
        let [unknown, evaluation_unknown] = [train.unknown_share(), evaluation.unknown_share()];
        let mut model = job.model.clone();
        // A resumed run knows where it began.
        model.checkpoint = model.checkpoint.map(|path| match &taken_up {
            Some(taken_up) => where_it_began(path, &taken_up.run_dir),
            None => path,
        });
        let begins_with = model.checkpoint.clone();
        let (stages, trainer) = build(loaded, &model, train, world, true)?;
        let (run_dir, resumed) = match taken_up {
            Some(TakenUp { run_dir, record, changes, notes }) => {
                (run_dir, Some(Resumed { record, changes, notes }))
            }
            // A new run claims its directory once everything else has succeeded.
            None => {
                world.set_context(format_args!("start of the run, opening its directory"));
                (RunDir::create(loaded, options.run_dir.as_deref(), world)?, None)
            }
        };
        let mut run = Run {
            job,
            stages,
            trainer,
            evaluator: Evaluator::new(evaluation),
            set,
            test,
            vocabulary,
            data,
            run_dir,
            log_interval: LogInterval::default(),
            store: None,
            metrics: None,
            sink,
            best: None,
            last: None,
            owes_evaluation: false,
            evaluated: None,
            resumed_choice: None,
            checkpoint: PathBuf::new(),
            first_step: 0,
            training_seconds: 0.0,
            bytes_sent: 0,
            stage_first_step: 0,
            begins_with,
            formula_bytes: 0,
            float32_bytes: 0,
        };
        let mut notes = run.open_store(resumed, options, world)?;
        notes.extend(remarks);
        if set == TEST {
            notes.push(format!(
                "the test set chooses the network ({}), so its test score is better than its score on new data would be",
                no_split(&job.data)
            ));
        }
        world.set_context(format_args!("start of the run, measuring what an exchange takes"));
        let chosen = run.trainer.choose_exchange(world, run.resumed_choice)?;
        notes.extend(chosen.filter(|reason| !notes.contains(reason)));
        if run.trainer.exchange().would_overlap() && !world.allows_threads() {
            notes.push(
                "the MPI library does not offer MPI_THREAD_FUNNELED: gradients are averaged after each backward pass, \
                 not beside it"
                    .into(),
            );
        }
        run.say(Event::Start {
            job: job.name.clone(),
            run_dir: run.run_dir.path().into(),
            ranks: world.size(),
            hosts: placement.hosts,
            threads: placement.threads,
            threads_reason: placement.reason,
            blas: placement.blas,
            blas_reason: placement.blas_reason,
            blas_warnings: placement.blas_warnings,
            parameters: run.trainer.network.parameters.values.len(),
            ternary_parameters: run.trainer.exchange().compressed_parameters(),
            algorithm: run.trainer.exchange().algorithm(),
            samples: run.trainer.task().count(run.trainer.labels_per_epoch()),
            vocabulary: match run.trainer.network.graph().input() {
                Shape::Tokens { vocabulary, .. } => Some(vocabulary),
                _ => None,
            },
            unknown,
            evaluation_unknown,
            set,
            step: run.first_step,
            steps: run.trainer.steps + run.stages.later(),
        })?;
        run.say_stage(notes)?;
        Ok(run)
    }

    /// Opens the checkpoints and, to resume, goes to the latest of them, on every rank alike. Returns what is worth
    /// saying about that.
    fn open_store(
        &mut self,
        resumed: Option<Resumed>,
        options: &Options,
        world: &mut World,
    ) -> Result<Vec<String>> {
        let keep = NonZeroUsize::new(self.job.checkpoint.keep).unwrap_or(NonZeroUsize::MIN);
        // Rank 0 alone opens the store, which cleans up what a killed run has left; the others only read, after it.
        let opened = (world.rank() == 0).then(|| Store::open(self.run_dir.path(), keep)).transpose();
        let store = world.all_or_none(opened)?;
        self.store = store;
        let notes = match resumed {
            Some(resumed) => self.resume(resumed, options.same_ranks, world)?,
            None => self.begin(world)?,
        };
        (self.first_step, self.stage_first_step) = (self.trainer.step, self.trainer.step);
        self.trainer.verify(world)?;
        let metrics =
            (world.rank() == 0).then(|| Metrics::open(self.run_dir.metrics(), self.first_step)).transpose();
        self.metrics = world.all_or_none(metrics)?;
        Ok(notes)
    }
}

/// A trainer of `loaded` at its first step, on the ranks of `world`, and where they run; no run directory, and nothing that is
/// evaluated. The parameters are freshly drawn, whatever the job begins with.
///
/// # Errors
/// Those of starting a run.
pub fn prepare(loaded: &Loaded, world: &mut World) -> Result<(Trainer, Placement)> {
    agree(loaded, world)?;
    let placement = place(world)?;
    let feeds = read(loaded, world)?;
    let (_, trainer) = build(loaded, &loaded.job.model, feeds.train, world, false)?;
    Ok((trainer, placement))
}

/// Refuses ranks that would not do the same.
pub(crate) fn agree(loaded: &Loaded, world: &mut World) -> Result<()> {
    world.set_context(format_args!("start of the run"));
    world.agree("the hash of the job", loaded.job.hash())?;
    world.agree("the hash of the program", program_hash())
}

/// The data, the same on all ranks.
fn read(loaded: &Loaded, world: &mut World) -> Result<Feeds> {
    world.set_context(format_args!("start of the run, reading data"));
    let opened = check_batch(loaded, world).and_then(|()| open_feeds(loaded));
    let feeds = world.all_or_none(opened)?;
    let test = feeds.test.as_ref().map_or(0, |test| test.hash());
    let hashes = [feeds.train.hash(), feeds.evaluation.hash(), test];
    world.agree("the hash of the data", xxh3_64(bytemuck::cast_slice(&hashes)))?;
    world.agree("the hash of the vocabulary", feeds.vocabulary.as_ref().map_or(0, Vocabulary::hash))?;
    Ok(feeds)
}

/// What identifies the data of a run: the training set, and the evaluation set, which is called `set`.
fn identify(training: Facts, set: &str, evaluation: Facts, test: Option<Facts>) -> Data {
    let sets = [("training", training), (set, evaluation)].into_iter().chain(test.map(|test| (TEST, test)));
    sets.map(|(set, facts)| (set.to_owned(), named(facts))).collect()
}

/// The network of `model` and what trains it, at the first step of the job's first stage.
fn build<'a>(
    loaded: &'a Loaded,
    model: &Model,
    train: Box<dyn TrainingFeed>,
    world: &mut World,
    evaluates: bool,
) -> Result<(Stages<'a>, Trainer)> {
    let graph = check_network(loaded, model, train.as_ref(), &world.topology(), evaluates);
    // Every rank has seen what memory is free before any of them takes some.
    let graph = world.all_or_none(graph)?;
    let stages = stages_of(loaded, train.samples());
    let stages = world.all_or_none(stages)?;
    let settings = stages.settings(&graph);
    let built =
        Trainer::new(&settings, graph, train, world.topology(), evaluates).map_err(blame(loaded, "model"));
    // The network has been allocated, and the first product is still to come.
    let built = built.and_then(|trainer| check_blas_room(threads()).map(|()| trainer));
    let trainer = world.all_or_none(built)?;
    let parameters = &trainer.network.parameters;
    world.agree("the number of parameters to exchange", parameters.values.len() as u64)?;
    world.agree(
        "the hash of their tensors",
        xxh3_64(format!("{:?}", (&parameters.table, &parameters.statistics.table)).as_bytes()),
    )?;
    Ok((stages, trainer))
}

/// The stages of the job, as long as they are.
fn stages_of(loaded: &Loaded, samples: usize) -> Result<Stages<'_>> {
    let job = &loaded.job;
    Stages::new(job, samples).map_err(|(error, stage)| {
        let train = job.stages.get(stage).map_or(&job.train, |stage| &stage.train);
        let key = if train.steps.is_some() { "train.steps" } else { "train.epochs" };
        let path = if job.stages.is_empty() { key.to_owned() } else { format!("stage[{stage}].{key}") };
        Error::Job { at: loaded.source.at(&path), message: error.to_string() }
    })
}

/// The checkpoint that the run in `run_dir` began with: the one it has kept of `path`, which may be gone by now.
fn where_it_began(path: PathBuf, run_dir: &RunDir) -> PathBuf {
    let kept = Store::start_path(run_dir.path());
    if kept.exists() { kept } else { path }
}

fn check_batch(loaded: &Loaded, world: &World) -> Result<()> {
    let (batch, ranks) = (loaded.job.train.global_batch, world.size());
    if batch >= ranks {
        return Batch::of(&loaded.job.train).check(ranks).map_err(blame(loaded, "train.micro_batch"));
    }
    let message = format!(
        "a global batch of {batch} leaves some of {ranks} ranks without a sample; raise it or start fewer ranks"
    );
    Err(Error::Job { at: loaded.source.at("train.global_batch"), message })
}

/// Whom to blame for what does not fit: the value of the job at `path`.
fn blame<'a>(loaded: &'a Loaded, path: &'a str) -> impl Fn(Error) -> Error + 'a {
    move |error| match error {
        Error::Usage(_) | Error::Shape { .. } => {
            Error::Job { at: loaded.source.at(path), message: error.to_string() }
        }
        other => other,
    }
}

/// The network, which fits the data, the job and the memory of the node; objections carry the job file's line.
fn check_network(
    loaded: &Loaded,
    model: &Model,
    train: &dyn TrainingFeed,
    topology: &Topology,
    evaluates: bool,
) -> Result<Graph> {
    let job = &loaded.job;
    let graph = build_graph(model, &loaded.source, train.input(), train.classes())?;
    float32_layers(&job.exchange.keep_float, &graph).map_err(blame(loaded, "exchange.keep_float"))?;
    for rank in [0, topology.world() - 1] {
        let part = shard(job.train.global_batch, rank, topology.world()).len();
        graph.check_batch(Batch::of(&job.train).size(part)).map_err(blame(loaded, "train.global_batch"))?;
    }
    check_room(job, &graph, topology, evaluates).map_err(blame(loaded, "model"))?;
    check(job, &graph).map_err(|(error, key)| blame(loaded, &key)(error))?;
    Ok(graph)
}
