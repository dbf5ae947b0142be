//! From a job to its data, its stages, and a trainer at the first step. Every error names the line of the job
//! file.

use std::path::PathBuf;

use ternflock_collectives::topology::Topology;
use xxhash_rust::xxh3::xxh3_64;

use crate::exchange::{check_rank, float32_layers, has_row_scales, low_rank_layers};
use crate::run::stages::{Stages, check};
use crate::setup::construct::build_graph;
use crate::setup::feeds::{TEST, open_feeds};
use crate::setup::room::check_room;
use crate::state::run_dir::RunDir;
use crate::state::trained_on::named;
use crate::step::batch::Batch;
use crate::step::criterion::Criterion;
use crate::step::trainer::Trainer;
use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{Data, Store};
use ternflock_data::{Facts, Feeds, TrainingFeed, Vocabulary, shard};
use ternflock_job::{Loaded, Model};
use ternflock_nn::{Graph, parameters};
use ternflock_tensor::{check_blas_room, threads};
use ternflock_world::World;

/// The data, the same on all ranks.
pub fn read(loaded: &Loaded, world: &mut World) -> Result<Feeds> {
    world.set_context(format_args!("start of the run, reading data"));
    let opened = check_batch(loaded, world.size()).and_then(|()| open_feeds(loaded));
    let feeds = world.all_or_none(opened)?;
    let test = feeds.test.as_ref().map_or(0, |test| test.hash());
    let hashes = [feeds.train.hash(), feeds.evaluation.hash(), test];
    world.agree("the hash of the data", xxh3_64(bytemuck::cast_slice(&hashes)))?;
    world.agree("the hash of the vocabulary", feeds.vocabulary.as_ref().map_or(0, Vocabulary::hash))?;
    Ok(feeds)
}

/// The facts that identify the data of a run: the training set, and the evaluation set, which is called `set`.
pub fn identify(training: Facts, set: &str, evaluation: Facts, test: Option<Facts>) -> Data {
    let sets = [("training", training), (set, evaluation)].into_iter().chain(test.map(|test| (TEST, test)));
    sets.map(|(set, facts)| (set.to_owned(), named(facts))).collect()
}

/// The network of `model` and its trainer, at the first step of the job's first stage.
pub fn build<'a>(
    loaded: &'a Loaded,
    model: &Model,
    train: Box<dyn TrainingFeed>,
    world: &mut World,
    evaluates: bool,
) -> Result<(Stages<'a>, Trainer)> {
    let graph = check_network(loaded, model, train.as_ref(), &world.topology(), evaluates);
    // Every rank must have read the free memory before any rank allocates.
    let graph = world.all_or_none(graph)?;
    let stages = stages_of(loaded, train.samples());
    let stages = world.all_or_none(stages)?;
    let settings = stages.settings(&graph);
    let built =
        Trainer::new(&settings, graph, train, world.topology(), evaluates).map_err(blame(loaded, "model"));
    // The network has been allocated, and no matrix product has run yet.
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

/// The stages of the job, with their lengths.
pub(super) fn stages_of(loaded: &Loaded, samples: usize) -> Result<Stages<'_>> {
    let job = &loaded.job;
    Stages::new(job, samples).map_err(|(error, stage)| {
        let train = job.stages.get(stage).map_or(&job.train, |stage| &stage.train);
        let key = if train.steps.is_some() { "train.steps" } else { "train.epochs" };
        let path = if job.stages.is_empty() { key.to_owned() } else { format!("stage[{stage}].{key}") };
        Error::Job { at: loaded.source.at(&path), message: error.to_string() }
    })
}

/// The checkpoint that the run in `run_dir` began with: its own copy of `path`, which may no longer exist.
pub fn where_it_began(path: PathBuf, run_dir: &RunDir) -> PathBuf {
    let kept = Store::start_path(run_dir.path());
    if kept.exists() { kept } else { path }
}

/// Refuses a batch that `ranks` ranks cannot share.
pub(super) fn check_batch(loaded: &Loaded, ranks: usize) -> Result<()> {
    let batch = loaded.job.train.global_batch;
    if batch >= ranks {
        return Batch::of(&loaded.job.train).check(ranks).map_err(blame(loaded, "train.micro_batch"));
    }
    let message = format!(
        "a global batch of {batch} leaves some of {ranks} ranks without a sample; raise it or start fewer ranks"
    );
    Err(Error::Job { at: loaded.source.at("train.global_batch"), message })
}

/// Attributes an error to the value of the job at `path`.
pub(super) fn blame<'a>(loaded: &'a Loaded, path: &'a str) -> impl Fn(Error) -> Error + 'a {
    move |error| match error {
        Error::Usage(_) | Error::Shape { .. } => {
            Error::Job { at: loaded.source.at(path), message: error.to_string() }
        }
        other => other,
    }
}

/// The network, checked against the data, the job and the memory of the node. Errors name the line of the job
/// file.
pub(super) fn check_network(
    loaded: &Loaded,
    model: &Model,
    train: &dyn TrainingFeed,
    topology: &Topology,
    evaluates: bool,
) -> Result<Graph> {
    let job = &loaded.job;
    Criterion::training(&job.task, train)
        .map_err(|(key, message)| Error::Job { at: loaded.source.at(&key), message })?;
    let graph = build_graph(model, &loaded.source, train.input(), train.target())?;
    float32_layers(&job.exchange.keep_float, &graph).map_err(blame(loaded, "exchange.keep_float"))?;
    has_row_scales(&job.exchange, &graph, &[]).map_err(blame(loaded, "exchange.row_scales"))?;
    low_rank_layers(&job.exchange, &graph).map_err(blame(loaded, "exchange.low_rank"))?;
    check_rank(&job.exchange, &graph, &parameters::table(&graph)?)
        .map_err(blame(loaded, "exchange.powersgd_rank"))?;
    for rank in [0, topology.world() - 1] {
        let part = shard(job.train.global_batch, rank, topology.world()).len();
        graph.check_batch(Batch::of(&job.train).size(part)).map_err(blame(loaded, "train.global_batch"))?;
    }
    check_room(job, &graph, topology, evaluates).map_err(blame(loaded, "model"))?;
    check(job, &graph).map_err(|(error, key)| blame(loaded, &key)(error))?;
    Ok(graph)
}
