//! `ternflock eval`.

mod details;
mod other_data;
mod sharpness;

use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::arguments::Eval;
use super::exit;
use super::launch::launch_or_say;
use super::numbers::{duration, shown, thousands};
use super::output;
use super::streams::{log, print};
use super::table::table;
use other_data::other_data;
use sharpness::Around;
use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{self as checkpoint, Snapshot};
use ternflock_data::{EvaluationFeed, Preparation, Vocabulary, unknown_remark};
use ternflock_job::{self as job, Exchange, Job};
use ternflock_nn::{Beside, Evaluation, Execution, Graph, Measures, check_memory};
use ternflock_report::json::to_value;
use ternflock_report::{Count, Scores, Speed, Task};
use ternflock_tensor::Precision;
use ternflock_train::{
    EVALUATION_BATCH, Evaluator, Remembered, VALIDATION, check_split, difference, evaluate, hash_values,
    most_on_a_node, open_test_set, open_training_set, open_validation_set, outputs, place, precision,
    restore_network,
};
use ternflock_world::{Patience, World};

/// Evaluates the checkpoint on the test set, or on the validation set if requested. The ranks share the
/// samples.
pub fn main(arguments: &Eval) -> ExitCode {
    let mut world = match launch_or_say(Patience::of(&Exchange::default()), None) {
        Ok(world) => world,
        Err(code) => return code,
    };
    let measured = measure(arguments, &mut world).and_then(|measured| {
        let draws = measured.around.as_ref().filter(|_| world.rank() == 0);
        let drawn = draws.map_or(Ok(()), |around| around.draw(arguments));
        world.all_or_none(drawn).map(|()| measured)
    });
    match measured {
        Ok(result) if world.rank() == 0 => print(&result.say(arguments)),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => exit::fail_on(world, &error),
    }
}

struct Measured {
    snapshot: Snapshot,
    precision: Precision,
    dataset: String,
    task: Task,
    /// The share of unknown tokens in a text: those that stand for words outside the vocabulary.
    unknown: Option<f64>,
    evaluation: Evaluation,
    /// The names of the classes; empty if they have none.
    class_names: Vec<String>,
    seconds: f64,
    around: Option<Around>,
}

fn measure(arguments: &Eval, world: &mut World) -> Result<Measured> {
    world.set_context(format_args!("evaluation"));
    let chosen = arguments.instructions.choose();
    world.all_or_none(chosen)?;
    place(world)?;
    let ranks = (world.size(), most_on_a_node(&world.topology()));
    let prepared = prepare(arguments, ranks);
    // Every rank must have read the free memory before any rank allocates.
    let (snapshot, job, mut evaluator, execution) = world.all_or_none(prepared)?;
    let restored = restore_network(&arguments.checkpoint, &snapshot, execution);
    let mut network = world.all_or_none(restored)?;
    world.agree("the hash of the checkpoint's parameters", hash_values(&network.parameters.values))?;
    world.agree("the hash of its network", xxh3_64(snapshot.network.as_bytes()))?;
    world.agree("the hash of the data", evaluator.feed().hash())?;
    let unknown = evaluator.feed().unknown_share();
    let words = snapshot.vocabulary.len();
    if let Some(remark) =
        unknown.filter(|_| world.rank() == 0).and_then(|share| unknown_remark(&arguments.on, share, words))
    {
        log(remark);
    }
    // Other data differ on purpose.
    let is_own = arguments.data.is_none();
    if is_own {
        say_difference(&arguments.on, &snapshot, evaluator.feed(), world);
    }
    let start = Instant::now();
    let evaluation = evaluate(&mut evaluator, &mut network, world)?;
    let (task, class_names) = (evaluator.task(), evaluator.feed().class_names().unwrap_or_default().to_vec());
    let seconds = start.elapsed().as_secs_f64();
    let mut around = None;
    if arguments.landscape.sharpness {
        let opened = open_training(arguments, &job, &snapshot);
        let feed = world.all_or_none(opened)?;
        world.agree("the hash of the training data", feed.hash())?;
        if is_own {
            say_difference("training", &snapshot, feed.as_ref(), world);
        }
        let unit = task.count(0).unit();
        around =
            Some(sharpness::measure(&arguments.landscape, &mut network, world, (feed, &job.task), unit)?);
    }
    let precision = network.precision();
    let dataset = job.data.dataset;
    Ok(Measured { snapshot, precision, dataset, task, unknown, evaluation, class_names, seconds, around })
}

/// Reports on rank 0 that the set called `set` differs from the one with which the checkpoint was trained or
/// chosen: this may be intended or unnoticed.
fn say_difference(set: &str, snapshot: &Snapshot, feed: &dyn EvaluationFeed, world: &World) {
    if let Some(difference) = difference(snapshot, set, feed.facts()).filter(|_| world.rank() == 0) {
        log(format_args!("note: the data are not those of the checkpoint's run: {difference}"));
    }
}

fn open_training(arguments: &Eval, job: &Job, snapshot: &Snapshot) -> Result<Box<dyn EvaluationFeed>> {
    let data = &job.data;
    let dir = arguments.data_dir.as_deref().or(data.dir.as_deref());
    let vocabulary =
        vocabulary(snapshot, data).map_err(|message| Error::checkpoint(&arguments.checkpoint, message))?;
    let preparation =
        preparation(snapshot).map_err(|message| Error::checkpoint(&arguments.checkpoint, message))?;
    let (vocabulary, preparation) = (vocabulary.as_ref(), preparation.as_ref());
    let remembered = Remembered { vocabulary, preparation, task: job.task.asked_kind() };
    open_training_set(data, dir, remembered)
}

/// The words of a language model, which was trained on `data`.
fn vocabulary(snapshot: &Snapshot, data: &job::Data) -> std::result::Result<Option<Vocabulary>, String> {
    let words = snapshot.vocabulary.clone();
    match words.is_empty() {
        true if data.text.is_some() => Err("its job trains on a text, but it has no vocabulary".into()),
        true => Ok(None),
        false => Vocabulary::of(words).map(Some),
    }
}

/// How samples are prepared for the network.
fn preparation(snapshot: &Snapshot) -> std::result::Result<Option<Preparation>, String> {
    let text = Some(&snapshot.preparation).filter(|text| !text.is_empty());
    text.map(|text| Preparation::from_json(text)).transpose()
}

/// What to evaluate, and how to run the network. `ranks` is the number of all ranks and the largest number on one node.
fn prepare(arguments: &Eval, ranks: (usize, usize)) -> Result<(Snapshot, Job, Evaluator, Execution)> {
    let path = &arguments.checkpoint;
    arguments.landscape.svg.iter().try_for_each(|path| output::PICTURE.check("--svg", path))?;
    let snapshot = checkpoint::load(path)?;
    let mut job = Job::from_stored(&snapshot.job)
        .map_err(|error| Error::checkpoint(path, format!("its job cannot be read: {error}")))?;
    if let Some(other) = &arguments.data {
        job.data = other_data(other, &job.data, path)?;
    } else if arguments.on == VALIDATION || arguments.landscape.sharpness {
        check_split(path, &snapshot, &job, "evaluate the test set, without --sharpness")?;
    }
    let dir = arguments.data_dir.as_deref().or(job.data.dir.as_deref());
    let vocabulary = vocabulary(&snapshot, &job.data).map_err(|message| Error::checkpoint(path, message))?;
    let preparation = preparation(&snapshot).map_err(|message| Error::checkpoint(path, message))?;
    let (vocabulary, preparation) = (vocabulary.as_ref(), preparation.as_ref());
    let remembered = Remembered { vocabulary, preparation, task: job.task.asked_kind() };
    let set = match arguments.on == VALIDATION {
        true => open_validation_set(&job.data, dir, remembered),
        false => open_test_set(&job.data, dir, remembered),
    }?;
    let (given, target) = (set.input(), set.target());
    let refuse = |error: Error| Error::checkpoint(path, error.to_string());
    let graph = Graph::from_json(&snapshot.network).map_err(refuse)?;
    if graph.input() != given || graph.output() != outputs(given, target) {
        let (input, output) = (graph.input(), graph.output());
        let message = format!(
            "its network computes {output} outputs for samples of {input}, but `{}` has {} for {given}",
            job.data.dataset,
            target.described()
        );
        return Err(Error::checkpoint(path, message));
    }
    let batch = EVALUATION_BATCH.min(set.items().div_ceil(ranks.0));
    let execution = Execution { batch, precision: arguments.precision.unwrap_or_else(|| precision(&job)) };
    let too_large = |error: Error| Error::Usage(format!("{}: {error}", path.display()));
    check_memory(&graph, execution, Beside::default(), ranks.1).map_err(too_large)?;
    let evaluator = Evaluator::new(set, &job.task).map_err(refuse)?.with_confusion();
    Ok((snapshot, job, evaluator, execution))
}

impl Measured {
    fn say(&self, arguments: &Eval) -> String {
        let (tally, path) = (&self.evaluation.tally, arguments.checkpoint.display().to_string());
        let (score, count) = (self.task.score(&self.evaluation), self.task.count(tally.samples));
        let mut scores = self.task.other_scores(&self.evaluation);
        scores.0.insert(0, score);
        let speed = self.task.speed(tally.samples as f64 / self.seconds);
        if arguments.json {
            return format!("{}\n", self.object(arguments, &scores, count, speed));
        }
        let unit = count.unit();
        let set = if arguments.on == VALIDATION { "validation set" } else { "test set" };
        let mut rows = vec![
            ("checkpoint", format!("{path}, step {}", thousands(self.snapshot.progress.step))),
            (set, format!("{}, {} {unit}", self.dataset, thousands(count.number()))),
            (score.metric.title(), format!("{} (loss {:.4})", shown(score), tally.mean_loss())),
            ("time", format!("{}, {} {unit}/s", duration(self.seconds), thousands(speed.rate() as u64))),
        ];
        let others = scores.0[1..].iter().map(|score| (score.metric.title(), shown(*score)));
        let time = rows.len() - 1;
        rows.splice(time..time, others);
        if let Some(share) = self.unknown {
            rows.insert(2, ("unknown tokens", format!("{:.1} % of them are `<unk>`", 100.0 * share)));
        }
        if self.precision != Precision::default() {
            rows.push(("precision", self.precision.described().into()));
        }
        rows.extend(self.around.iter().flat_map(Around::rows));
        let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_string(), value]).collect();
        let details = details::text(&self.evaluation.measures, &self.class_names);
        table(&rows, &[]) + &details.map_or_else(String::new, |details| format!("\n{details}"))
    }

    fn object(&self, arguments: &Eval, scores: &Scores, count: Count, speed: Speed) -> Value {
        let mut object = Map::new();
        let mut put = |value: Value| object.extend(value.as_object().cloned().unwrap_or_default());
        put(json!({
            "checkpoint": arguments.checkpoint.display().to_string(),
            "step": self.snapshot.progress.step,
            "dataset": self.dataset,
            "set": arguments.on,
            "precision": self.precision.name(),
        }));
        put(to_value(&count));
        self.unknown.iter().for_each(|share| put(json!({"unknown": share})));
        let Evaluation { tally, measures } = &self.evaluation;
        if !matches!(measures, Measures::Values(_)) {
            put(json!({"correct": tally.correct}));
        }
        put(to_value(scores));
        put(json!({"loss": to_value(&tally.mean_loss()), "seconds": to_value(&self.seconds)}));
        put(to_value(&speed));
        put(details::object(measures, &self.class_names));
        self.around.iter().for_each(|around| put(around.object()));
        Value::Object(object)
    }
}
