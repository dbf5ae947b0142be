//! A dry run: everything that a run does before its first step, and a few steps on one rank, without other ranks, a run
//! directory or checkpoints.

use std::time::{Duration, Instant};

use ternflock_collectives::topology::Topology;

use super::build::{blame, check_batch, check_network, identify, stages_of};
use super::feeds::open_feeds;
use super::placement::{place_alone, threads_for};
use super::room::{checkpoint_bytes, most_on_a_node, rank_bytes};
use crate::exchange::method::Bytes;
use crate::step::batch::Batch;
use crate::step::evaluate::Evaluator;
use crate::step::trainer::Trainer;
use ternflock_base::error::{Error, Result};
use ternflock_base::quantile::median;
use ternflock_checkpoint::Data;
use ternflock_job::{Gradients, Loaded};
use ternflock_nn::{Shape, TargetKind};
use ternflock_report::Task;

/// What a run would do.
#[derive(Debug)]
pub struct DryRun {
    /// The shape of a sample.
    pub input: Shape,
    /// What is predicted for it.
    pub target: TargetKind,
    /// The task, which knows the unit of samples.
    pub task: Task,
    /// The facts of each set: training, the set that chooses the network, and the test set if that is another one.
    pub data: Data,
    /// Oddities of the data.
    pub remarks: Vec<String>,
    /// The name and the steps of each stage; one without a name in a job without stages.
    pub stages: Vec<(Option<String>, u64)>,
    /// Parameters of the network, before any surgery.
    pub parameters: usize,
    /// Samples that a rank computes in a step, at most.
    pub share: usize,
    /// Samples that it computes at a time.
    pub at_a_time: usize,
    /// Bytes of memory that a rank needs for the network, the optimizer and the exchange.
    pub rank_bytes: u128,
    /// Bytes that rank 0 needs in addition while it writes a checkpoint.
    pub checkpoint_bytes: u128,
    /// Bytes of memory that all ranks of a node need, with those of rank 0.
    pub node_bytes: u128,
    /// How gradients are averaged.
    pub exchange: ExchangePlan,
    /// Ranks.
    pub ranks: usize,
    /// The number of nodes that they are on.
    pub nodes: usize,
    /// Compute threads of a rank.
    pub threads: usize,
    /// The reason for this number.
    pub threads_reason: String,
    /// Seconds of a step of one rank that computes alone, without exchange: the median.
    pub step_seconds: f64,
    /// The number of steps that were timed.
    pub timed: usize,
    /// Labels (samples or tokens) per step, over all ranks.
    pub labels_per_step: u64,
}

/// How gradients are averaged.
#[derive(Debug)]
pub struct ExchangePlan {
    /// Whether the ranks choose the method when the run starts; the plan is then that of the exact one.
    pub is_open: bool,
    /// Per method: its name in job files, and the tensors and parameters that it averages.
    pub methods: Vec<(&'static str, usize, usize)>,
    /// The number of parts that are sent one after another.
    pub buckets: usize,
    /// Bytes that rank 0 sends per step.
    pub bytes: Bytes,
    /// Bytes that it would send in float32.
    pub float32_bytes: u64,
}

/// At most this many steps are timed.
const MOST_STEPS: usize = 10;

/// Steps are timed for about this long.
const TIMED: Duration = Duration::from_secs(3);

/// Opens the data of `loaded`, builds its network for `ranks` ranks, `per_node` on each node (the last node has the rest),
/// and takes a few steps of rank 0, whose parameters are freshly drawn even if the job begins with a checkpoint. Also evaluates one batch.
///
/// # Errors
/// The errors of starting a run on such ranks; [`Error::NonFinite`] if the loss of one of these steps is not finite.
pub fn dry_run(loaded: &Loaded, ranks: usize, per_node: usize) -> Result<DryRun> {
    let topology = &Topology::new((0..ranks).map(|rank| rank / per_node.max(1)).collect());
    let (job, world) = (&loaded.job, topology.world());
    check_batch(loaded, world)?;
    let per_node = most_on_a_node(topology);
    let (threads, threads_reason) = threads_for(per_node);
    place_alone(threads)?;
    let feeds = open_feeds(loaded)?;
    let remarks = feeds.remarks();
    let train = feeds.train;
    let (input, target) = (train.input(), train.target());
    let test = feeds.test.as_ref().map(|test| test.facts());
    let data = identify(train.facts(), feeds.set, feeds.evaluation.facts(), test);
    let graph = check_network(loaded, &job.model, train.as_ref(), topology, true)?;
    let stages = stages_of(loaded, train.samples())?;
    let settings = stages.settings(&graph);
    let rank_bytes = rank_bytes(job, &graph, world, true)?;
    let checkpoint_bytes = checkpoint_bytes(job, &graph, world)?;
    let lengths = stages.all().map(|(stage, steps)| (stage.map(|stage| stage.name.clone()), steps)).collect();
    let trainer = Trainer::new(&settings, graph, train, topology.clone(), true);
    let mut trainer = trainer.map_err(blame(loaded, "model"))?;
    let exchange = plan(&trainer, job.exchange.gradients);
    let mut evaluator = Evaluator::new(feeds.evaluation);
    let items = evaluator.feed().items().min(trainer.network.capacity());
    evaluator.tally(&mut trainer.network, 0..items)?;
    let times = time(&mut trainer, world)?;
    let batch = Batch::of(&job.train);
    Ok(DryRun {
        input,
        target,
        task: trainer.task(),
        data,
        remarks,
        stages: lengths,
        parameters: trainer.network.parameters.values.len(),
        share: batch.share(world),
        at_a_time: batch.at_a_time(world),
        rank_bytes,
        checkpoint_bytes,
        node_bytes: rank_bytes.saturating_mul(per_node as u128).saturating_add(checkpoint_bytes),
        exchange,
        ranks: world,
        nodes: topology.nodes(),
        threads,
        threads_reason,
        timed: times.len(),
        step_seconds: median(times),
        labels_per_step: trainer.labels_per_step(),
    })
}

/// Seconds of steps of rank 0, after one that is not timed.
fn time(trainer: &mut Trainer, world: usize) -> Result<Vec<f64>> {
    let (begin, mut times) = (Instant::now(), Vec::new());
    for step in 0..=MOST_STEPS {
        let start = Instant::now();
        let tally = trainer.local_gradients((0, world))?;
        if !tally.loss.is_finite() {
            let what = format!("the loss is {}", tally.mean_loss());
            return Err(Error::NonFinite { step: step as u64, rank: 0, what });
        }
        trainer.apply();
        if step > 0 {
            times.push(start.elapsed().as_secs_f64());
        }
        if !times.is_empty() && begin.elapsed() > TIMED {
            break;
        }
    }
    Ok(times)
}

fn plan(trainer: &Trainer, asked: Gradients) -> ExchangePlan {
    let exchange = trainer.exchange();
    let buckets = exchange.shares();
    let mut methods: Vec<(&'static str, usize, usize)> = Vec::new();
    for share in buckets.iter().flat_map(|(_, shares)| shares) {
        let name = share.method.name();
        match methods.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, tensors, parameters)) => {
                *tensors += share.shapes.len();
                *parameters += share.elements();
            }
            None => methods.push((name, share.shapes.len(), share.elements())),
        }
    }
    let parameters = trainer.network.parameters.values.len();
    ExchangePlan {
        is_open: asked == Gradients::Auto,
        methods,
        buckets: buckets.len(),
        bytes: exchange.bytes_sent(0),
        float32_bytes: crate::exchange::float32_bytes(parameters, 0, exchange.ranks()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_job as job;

    fn loaded(more: &[&str]) -> (tempfile::TempDir, Loaded) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job.toml");
        let text = "[data]\ndataset = 'digits'\n[model]\npreset = 'mlp'\n[train]\nsteps = 90\nglobal_batch = 64\n\
                    [optimizer]\nlearning_rate = 0.1\n";
        std::fs::write(&path, text).unwrap();
        let sets: Vec<String> = more.iter().map(ToString::to_string).collect();
        (directory, job::load(&path, &sets).unwrap())
    }

    #[test]
    fn a_dry_run_knows_what_a_run_would_do() {
        let (_directory, loaded) = loaded(&[]);
        let run = dry_run(&loaded, 4, 2).unwrap();
        assert_eq!((run.input.elements(), run.target), (64, TargetKind::Class(10)));
        assert_eq!(run.data.keys().collect::<Vec<_>>(), ["test", "training", "validation"]);
        assert_eq!(run.stages, [(None, 90)]);
        assert_eq!((run.share, run.at_a_time, run.labels_per_step), (16, 16, 64));
        assert_eq!(run.node_bytes, 2 * run.rank_bytes + run.checkpoint_bytes);
        let averaged: usize = run.exchange.methods.iter().map(|(.., parameters)| parameters).sum();
        assert_eq!(averaged, run.parameters);
        assert!(run.exchange.bytes.bound() < run.exchange.float32_bytes / 4, "{:?}", run.exchange);
        assert!(run.step_seconds > 0.0 && run.timed > 0);
    }

    #[test]
    fn one_rank_sends_nothing() {
        let (_directory, loaded) = loaded(&[]);
        let run = dry_run(&loaded, 1, 1).unwrap();
        assert_eq!((run.exchange.bytes.bound(), run.exchange.float32_bytes), (0, 0));
    }

    #[test]
    fn ranks_without_a_sample_and_steps_that_diverge_are_refused() {
        let (_directory, small) = loaded(&["train.global_batch=3"]);
        let message = dry_run(&small, 4, 4).unwrap_err().to_string();
        assert!(message.contains("leaves some of 4 ranks without a sample"), "{message}");
        let (_directory, hot) = loaded(&["optimizer.learning_rate=1e30"]);
        let error = dry_run(&hot, 1, 1).unwrap_err();
        assert!(matches!(error, Error::NonFinite { rank: 0, .. }), "{error}");
    }
}
