//! A whole run: step until done or told to stop; verify, log, evaluate and write checkpoints on the way.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use xxhash_rust::xxh3::xxh3_64;

use crate::exchange::float32_bytes;
use crate::run::allocation_deadline::{AllocationDeadline, Watch};
use crate::run::log_interval::LogInterval;
use crate::run::stages::Stages;
use crate::run::surgery::enter;
use crate::setup::start::agree;
use crate::state::checkpoint::{Gathered, gather, snapshot};
use crate::state::own_job::take_up;
use crate::state::run_dir::RunDir;
use crate::step::evaluate::{Evaluator, evaluate};
use crate::step::statistics::with_averaged;
use crate::step::trainer::Trainer;
use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{Best, Data, Store};
use ternflock_data::{EvaluationFeed, Vocabulary};
use ternflock_job::{Gradients, Job, Loaded};
use ternflock_nn::Tally;
use ternflock_report::{Chosen, Ending, Event, Metrics, Summary, Test, Traffic};
use ternflock_world::World;

/// How a run was asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where it goes; by default a directory of its own under `runs/`.
    pub run_dir: Option<PathBuf>,
    /// Whether it continues a run: the one in this directory, or otherwise the newest one below `runs/` with the job's
    /// name.
    pub resume: bool,
    /// Whether it may then differ from the run's own job.
    pub allow_changes: bool,
    /// Whether it refuses to continue on another number of ranks.
    pub same_ranks: bool,
    /// Until when it may go on; ranks need not know the same.
    pub end: Option<AllocationDeadline>,
}

/// Runs `loaded` on the ranks of `world` until its last step, or until `stop` is set on one of them. Events go to `sink`
/// on every rank, and on rank 0 into the run directory too.
///
/// # Errors
/// Whatever went wrong, after which the other ranks may be waiting: a caller with several processes must end them all.
/// Checkpoints written before stay whole.
pub fn run(
    loaded: &Loaded,
    options: &Options,
    world: &mut World,
    stop: &AtomicBool,
    sink: &mut dyn FnMut(&Event),
) -> Result<Summary> {
    let (mut watch, passed) = Watch::new(options.end, SystemTime::now());
    let mut stops = || stop.load(Ordering::Relaxed) || watch.is_time();
    agree(loaded, world)?;
    world.agree(
        "the hash of the options --resume, --allow-changes, --same-ranks and --run-dir",
        xxh3_64(
            format!("{:?}", (&options.run_dir, options.resume, options.allow_changes, options.same_ranks))
                .as_bytes(),
        ),
    )?;
    let resumed = options.resume.then(|| take_up(loaded, options, world)).transpose()?;
    let (own, taken_up) = resumed.unzip();
    let mut run = Run::start(own.as_ref().unwrap_or(loaded), options, taken_up, world, sink)?;
    if let Some(passed) = passed {
        let text = format!(
            "the allocation ended {} s ago by the clock of {}, which must be wrong: nothing but a signal will stop this run",
            passed.as_secs(),
            world.host()
        );
        run.say(Event::Note { step: run.first_step, text })?;
    }
    let ended = run.finish(world, &mut stops);
    if let Err(error) = &ended {
        run.say_failure(error);
    }
    ended
}

/// A run under way; [`Run::start`] is in its own file.
pub(crate) struct Run<'a> {
    /// All of it; the trainer has the settings of the present stage.
    pub job: &'a Job,
    pub stages: Stages<'a>,
    pub trainer: Trainer,
    pub evaluator: Evaluator,
    /// The set that is evaluated and so chooses the network: "validation" or "test".
    pub set: &'static str,
    /// The test set, if it does not choose the network.
    pub test: Option<Box<dyn EvaluationFeed>>,
    /// The words of a language model.
    pub vocabulary: Option<Vocabulary>,
    /// What identifies the data.
    pub data: Data,
    pub run_dir: RunDir,
    pub log_interval: LogInterval,
    /// Checkpoints and events, on rank 0.
    pub store: Option<Store>,
    pub metrics: Option<Metrics>,
    pub sink: &'a mut dyn FnMut(&Event),
    pub best: Option<Best>,
    /// The last evaluation and its step.
    pub last: Option<(u64, Tally)>,
    /// The checkpoint it resumed from was written in haste, before an evaluation that was due.
    pub owes_evaluation: bool,
    /// The step of the checkpoint it resumed from, if that holds an evaluation of it, while no other stage has begun.
    pub evaluated: Option<u64>,
    /// What a resumed run's gradients have travelled as, unless the job now says otherwise.
    pub resumed_choice: Option<Gradients>,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    pub first_step: u64,
    pub training_seconds: f64,
    pub bytes_sent: u64,
    /// The checkpoint whose parameters it begins with, if the job gives one.
    pub begins_with: Option<PathBuf>,
    /// The step that this run began at in the present stage, and what the formulas say of the stages before.
    pub stage_first_step: u64,
    pub formula_bytes: u64,
    /// What a float32 ring would have sent by then.
    pub float32_bytes: u64,
}

impl Run<'_> {
    fn finish(&mut self, world: &mut World, stops: &mut dyn FnMut() -> bool) -> Result<Summary> {
        let start = Instant::now();
        let mut stopped = false;
        if self.owes_evaluation && self.evaluate(world)? && self.job.checkpoint.best {
            self.save(world, true)?;
        }
        loop {
            if self.trainer.start == self.trainer.steps && self.evaluated != Some(self.trainer.step) {
                // Surgery was all.
                let best = self.evaluate(world)? && self.job.checkpoint.best;
                self.save(world, best)?;
            }
            while self.trainer.step < self.trainer.steps && !stopped {
                let step = self.trainer.step(world, stops())?;
                self.training_seconds += step.seconds;
                self.bytes_sent += step.bytes_sent;
                self.log_interval.add(&step);
                stopped = step.stop;
                self.after_step(world, stopped)?;
            }
            if stopped || !self.stages.has_next() {
                break;
            }
            self.next_stage(world)?;
        }
        let complete = self.trainer.step >= self.trainer.steps && !self.stages.has_next();
        // A run that was already complete evaluates its last network once more, to report it.
        if complete && self.last.is_none() && self.evaluate(world)? && self.job.checkpoint.best {
            self.save(world, true)?;
        }
        let verdict = if complete { Some(self.judge(world)?) } else { None };
        let summary = self.summary(world, verdict, start.elapsed().as_secs_f64());
        self.say(Event::End(summary.clone()))?;
        Ok(summary)
    }

    fn next_stage(&mut self, world: &mut World) -> Result<()> {
        let [formula, float32] = self.stage_bytes(world);
        self.formula_bytes += formula;
        self.float32_bytes += float32;
        self.stages.now += 1;
        (self.best, self.evaluated, self.stage_first_step) = (None, None, self.trainer.step);
        let notes = enter(&self.stages, &mut self.trainer, world)?;
        self.say_stage(notes)
    }

    /// What the formulas say that this rank has sent in this run's part of the present stage, and would have as float32.
    fn stage_bytes(&self, world: &World) -> [u64; 2] {
        let steps = self.trainer.step - self.stage_first_step;
        let parameters = self.trainer.network.parameters.values.len();
        match steps {
            0 => [0, 0],
            _ => [
                steps * self.trainer.exchange().formula_bytes(world.rank()),
                steps * float32_bytes(parameters, world.rank(), world.size()),
            ],
        }
    }

    /// Says which stage begins, and what came of its surgery.
    pub(crate) fn say_stage(&mut self, notes: Vec<String>) -> Result<()> {
        let step = self.trainer.step;
        if let Some(stage) = self.stages.stage() {
            let (number, stages) = (self.stages.now + 1, self.stages.count());
            let parameters = self.trainer.network.parameters.values.len();
            let (stage, steps) = (stage.name.clone(), self.trainer.steps);
            self.say(Event::Stage { step, stage, number, stages, steps, parameters })?;
        }
        notes.into_iter().try_for_each(|text| self.say(Event::Note { step, text }))
    }

    /// What is due after a step. All ranks decide alike. A stop skips the evaluation: there may be little time.
    fn after_step(&mut self, world: &mut World, stopped: bool) -> Result<()> {
        let (step, job) = (self.trainer.step, self.job);
        let is_last = step == self.trainer.steps;
        let due = |every: u64| every != 0 && step.is_multiple_of(every);
        let saves = due(job.checkpoint.every) || is_last || stopped;
        if due(job.exchange.verify_every) || is_last {
            self.trainer.verify(world)?;
        }
        let evaluates = is_last || (self.evaluation_is_due() && !stopped);
        if due(self.trainer.job().train.log_every) || evaluates || stopped {
            let event = self.log_interval.finish(world, &self.trainer)?;
            event.map_or(Ok(()), |event| self.say(event))?;
        }
        if evaluates || saves {
            let checked = self.trainer.check_parameters(world.rank());
            world.all_or_none(checked)?;
        }
        let best = evaluates && self.evaluate(world)? && job.checkpoint.best;
        if saves || best {
            self.save(world, best)?;
        }
        if stopped && (!is_last || self.stages.has_next()) {
            let text = format!(
                "a signal or the allocation's end stops the run after step {step}; --resume continues it"
            );
            self.say(Event::Note { step, text })?;
        }
        Ok(())
    }

    /// Whether the step just done was the last of an epoch, or of the job's own interval.
    pub(crate) fn evaluation_is_due(&self) -> bool {
        let step = self.trainer.step;
        match self.trainer.job().train.eval_every {
            Some(every) => every != 0 && step.is_multiple_of(every),
            None => self.trainer.epoch().floor() > self.trainer.epoch_at(step - 1).floor(),
        }
    }

    /// Evaluates; whether it was the best so far.
    fn evaluate(&mut self, world: &mut World) -> Result<bool> {
        world.set_context(format_args!("step {}, evaluation", self.trainer.step));
        let (evaluator, network) = (&mut self.evaluator, &mut self.trainer.network);
        let tally = with_averaged(network, world, |network, world| evaluate(evaluator, network, world))?;
        let (step, score) = (self.trainer.step, self.trainer.task().score(&tally));
        if !tally.loss.is_finite() {
            let what = format!(
                "the {} loss is {} with finite parameters: they have grown too large",
                self.set, tally.loss
            );
            return Err(Error::NonFinite { step, rank: 0, what });
        }
        let (loss, samples) = (tally.mean_loss(), self.trainer.task().count(tally.samples));
        // What has been judged is not judged again: on another number of ranks the sum of the losses differs in its last bits, and
        // would make a network better than itself, or than one that is as good.
        let is_again = self.evaluated == Some(step);
        let best = match &self.best {
            Some(best) => !is_again && score.improves(loss, best.value, best.loss),
            None => true,
        };
        if best {
            let metric = score.name().into();
            self.best = Some(Best { step, metric, value: score.value(), loss: Some(loss) });
        }
        self.last = Some((step, tally));
        self.say(Event::Evaluate { step, set: self.set, loss, score, samples, best })?;
        if !is_again && let Some(rate) = self.trainer.see_evaluation(loss) {
            let text =
                format!("the {} loss has stopped falling: the learning rate is now {rate:.5}", self.set);
            self.say(Event::Note { step, text })?;
        }
        Ok(best)
    }

    /// Writes a checkpoint on rank 0; no rank goes on before it is complete.
    fn save(&mut self, world: &mut World, best: bool) -> Result<()> {
        world.set_context(format_args!("step {}, checkpoint", self.trainer.step));
        let gathered = gather(&mut self.trainer, world)?;
        let write = |store| self.write(store, &gathered, world.size(), best);
        let saved = self.store.as_ref().map(write).transpose();
        let path = world.all_or_none(saved)?.unwrap_or_default();
        self.checkpoint = world.broadcast(&path.display().to_string())?.into();
        self.say(Event::Checkpoint { step: self.trainer.step, path: self.checkpoint.clone() })
    }

    fn write(&self, store: &Store, gathered: &Gathered, world: usize, best: bool) -> Result<PathBuf> {
        let stage = self.stages.stage().map(|stage| stage.name.as_str());
        let mut snapshot = snapshot(&self.trainer, gathered, self.job, world, stage, self.best.clone());
        snapshot.vocabulary = self.vocabulary.as_ref().map_or(Vec::new(), |words| words.words().to_vec());
        snapshot.data = self.data.clone();
        if let Some((_, tally)) = self.last.filter(|(step, _)| *step == self.trainer.step) {
            let score = self.trainer.task().score(&tally);
            let metrics = [(score.name(), score.value()), ("loss", tally.mean_loss())];
            let named = metrics.map(|(name, value)| (format!("{}_{name}", self.set), value));
            snapshot.progress.metrics.extend(named);
        }
        // Events first, then the checkpoint: a run that resumes from it has all events up to it, even after a power
        // failure.
        self.metrics.as_ref().map_or(Ok(()), Metrics::sync)?;
        let path = store.save(&snapshot, best)?;
        self.keep_stage(store, &path)?;
        Ok(path)
    }

    /// The checkpoint at `path`, of where this run is now, is kept if a stage ends here.
    pub(crate) fn keep_stage(&self, store: &Store, path: &Path) -> Result<()> {
        match self.stages.stage() {
            Some(stage) if self.trainer.step == self.trainer.steps => store.keep_stage(path, &stage.name),
            _ => Ok(()),
        }
    }

    /// The checkpoints that stages have ended with, up to the present one, on rank 0.
    fn stage_checkpoints(&self) -> Vec<PathBuf> {
        let stages = self.job.stages.iter().take(self.stages.now + 1);
        let paths =
            self.store.iter().flat_map(|store| stages.clone().map(|stage| store.stage_path(&stage.name)));
        paths.filter(|path| path.exists()).collect()
    }

    pub(crate) fn say(&mut self, event: Event) -> Result<()> {
        (self.sink)(&event);
        self.metrics.as_mut().map_or(Ok(()), |metrics| metrics.write(&event))
    }

    /// Records that `error` ended the run. If that fails, for example because the disk is full, the record is lost, but
    /// `error` is still reported.
    fn say_failure(&mut self, error: &Error) {
        let ending = Ending::by(error.kind());
        let step = if let Error::NonFinite { step, .. } = error { *step } else { self.trainer.step };
        let _ = self.say(Event::Failed { step, complete: false, ending, error: error.to_string() });
    }

    /// The outcome of a run, which is complete if it has a verdict.
    fn summary(&self, world: &World, verdict: Option<(Chosen, Test)>, seconds: f64) -> Summary {
        let complete = verdict.is_some();
        let steps = self.trainer.step - self.first_step;
        let per_step = |bytes: u64| bytes as f64 / steps.max(1) as f64;
        let [formula, float32] = self.stage_bytes(world);
        let samples = steps as f64 * self.trainer.labels_per_step() as f64;
        let task = self.trainer.task();
        let last = self.last.filter(|_| complete).map(|(_, tally)| tally);
        Summary {
            step: self.trainer.step,
            complete,
            ending: Ending::of(complete),
            set: self.set,
            score: task.score(&last.unwrap_or(Tally { loss: f64::NAN, ..Tally::default() })),
            loss: last.map(|tally| tally.mean_loss()),
            test: verdict.as_ref().map(|(_, test)| *test),
            chosen: verdict.map(|(chosen, _)| chosen),
            seconds,
            speed: task.speed(if steps == 0 { 0.0 } else { samples / self.training_seconds }),
            traffic: Traffic {
                bytes_per_step: per_step(self.bytes_sent),
                formula_bytes_per_step: per_step(self.formula_bytes + formula),
                float32_bytes_per_step: per_step(self.float32_bytes + float32),
            },
            stages: self.stage_checkpoints(),
            checkpoint: self.checkpoint.clone(),
            // With `checkpoint.best = false`, an existing `best.h5` is older than the latest evaluations.
            best_checkpoint: self.store.as_ref().filter(|_| self.job.checkpoint.best).and_then(Store::best),
        }
    }
}
