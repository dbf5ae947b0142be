//! A run in progress: steps until it is complete or told to stop, with checks, log lines, evaluations and
//! checkpoints between them.

use std::time::Instant;

use crate::run::checkpoints::RunCheckpoints;
use crate::run::data::RunData;
use crate::run::evaluations::{Evaluations, Judgement};
use crate::run::log::RunLog;
use crate::run::progress::RunProgress;
use crate::run::stages::Stages;
use crate::run::surgery::enter;
use crate::state::run_dir::RunDir;
use crate::step::evaluate::evaluate;
use crate::step::statistics::with_averaged;
use crate::step::trainer::Trainer;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_job::Job;
use ternflock_report::{Event, Summary};
use ternflock_world::World;

/// A run in progress; `setup::start` starts it.
pub(crate) struct Run<'a> {
    /// The complete job; the trainer has the settings of the present stage.
    pub job: &'a Job,
    pub stages: Stages<'a>,
    pub trainer: Trainer,
    pub data: RunData,
    pub run_dir: RunDir,
    pub progress: RunProgress,
    pub evaluations: Evaluations,
    pub checkpoints: RunCheckpoints,
    pub log: RunLog<'a>,
}

impl Run<'_> {
    /// Runs until the last step, or until `stops` asks for it on one of the ranks.
    pub(crate) fn finish(&mut self, world: &mut World, stops: &mut dyn FnMut() -> bool) -> Result<Summary> {
        let start = Instant::now();
        let mut stopped = false;
        if self.evaluations.is_owed() && self.evaluate(world)? && self.checkpoints.keeps_best() {
            self.save(world, true)?;
        }
        loop {
            if self.trainer.start == self.trainer.steps && !self.evaluations.is_stored(self.trainer.step) {
                // The stage consists only of surgery.
                let best = self.evaluate(world)? && self.checkpoints.keeps_best();
                self.save(world, best)?;
            }
            while self.trainer.step < self.trainer.steps && !stopped {
                // Asked once per exchange, so that the time between two questions is that of all steps up to the next one.
                let stop = self.trainer.synchronises_next() && stops();
                let step = self.trainer.step(world, stop)?;
                self.progress.add(&step);
                self.log.add(&step);
                stopped = step.stop;
                if step.is_synchronised {
                    self.after_step(world, stopped)?;
                }
            }
            if stopped || !self.stages.has_next() {
                break;
            }
            self.next_stage(world)?;
        }
        let complete = self.trainer.step >= self.trainer.steps && !self.stages.has_next();
        // A run that was already complete evaluates its last network again, to report the result.
        let unknown = complete && self.evaluations.last().is_none();
        if unknown && self.evaluate(world)? && self.checkpoints.keeps_best() {
            self.save(world, true)?;
        }
        let verdict = if complete { Some(self.judge(world)?) } else { None };
        let summary = self.summary(world, verdict, start.elapsed().as_secs_f64());
        self.log.write(Event::End(summary.clone()))?;
        Ok(summary)
    }

    fn next_stage(&mut self, world: &mut World) -> Result<()> {
        self.progress.end_stage(&self.trainer, world);
        self.evaluations.begin_stage();
        self.stages.now += 1;
        let notes = enter(&self.stages, &mut self.trainer, world)?;
        self.log_stage(notes)
    }

    /// Logs which stage begins, and the notes of its surgery.
    pub(crate) fn log_stage(&mut self, notes: Vec<String>) -> Result<()> {
        let step = self.trainer.step;
        if let Some(stage) = self.stages.stage() {
            let (number, stages) = (self.stages.now + 1, self.stages.count());
            let parameters = self.trainer.network.parameters.values.len();
            let (stage, steps) = (stage.name.clone(), self.trainer.steps);
            self.log.write(Event::Stage { step, stage, number, stages, steps, parameters })?;
        }
        notes.into_iter().chain(self.short_period()).try_for_each(|text| self.log.note(step, text))
    }

    /// A note if the last local steps of the stage are fewer than those before.
    fn short_period(&self) -> Option<String> {
        let rest = self.trainer.rhythm().remainder().filter(|_| self.trainer.step < self.trainer.steps)?;
        let (every, end) = (self.trainer.exchange_every(), self.trainer.steps);
        let of_what = if self.stages.count() > 1 { "the stage" } else { "the run" };
        Some(match end - self.trainer.rhythm().start() {
            all if all == rest => format!(
                "exchange.every = {every} applies to only {} of {of_what}: the ranks average once, after step {end}",
                plural(all as usize, "step")
            ),
            _ => format!(
                "exchange.every = {every} does not divide {of_what}: the ranks average for the last time after step {end}, \
                 after {}",
                plural(rest as usize, "local step")
            ),
        })
    }

    /// Does the work that is due after a step that leaves the ranks synchronised, or after a local step before it. All
    /// ranks decide the same. A stop skips the evaluation, because little time may be left.
    fn after_step(&mut self, world: &mut World, stopped: bool) -> Result<()> {
        let (step, job) = (self.trainer.step, self.job);
        let is_last = step == self.trainer.steps;
        let rhythm = self.trainer.rhythm();
        let due = |every: u64| rhythm.is_due(every, step);
        let saves = due(job.checkpoint.every) || is_last || stopped;
        if due(job.exchange.verify_every) || is_last {
            self.trainer.verify(world)?;
        }
        let evaluates = is_last || (self.evaluation_is_due() && !stopped);
        if due(self.trainer.job().train.log_every) || evaluates || stopped {
            self.log.write_interval(world, &self.trainer)?;
        }
        if evaluates || saves {
            let checked = self.trainer.check_parameters(world.rank());
            world.all_or_none(checked)?;
        }
        let best = evaluates && self.evaluate(world)? && self.checkpoints.keeps_best();
        if saves || best {
            self.save(world, best)?;
        }
        if stopped && (!is_last || self.stages.has_next()) {
            let text = format!(
                "a signal or the allocation's end stops the run after step {step}; --resume continues it"
            );
            self.log.note(step, text)?;
        }
        Ok(())
    }

    /// Whether an epoch, or the job's own interval, has ended since the ranks were last synchronised.
    pub(crate) fn evaluation_is_due(&self) -> bool {
        let (step, rhythm) = (self.trainer.step, self.trainer.rhythm());
        match self.trainer.job().train.eval_every {
            Some(every) => rhythm.is_due(every, step),
            None => self.trainer.epoch().floor() > self.trainer.epoch_at(rhythm.before(step)).floor(),
        }
    }

    /// Evaluates, and returns whether the evaluation was the best so far.
    fn evaluate(&mut self, world: &mut World) -> Result<bool> {
        world.set_context(format_args!("step {}, evaluation", self.trainer.step));
        let (evaluator, network) = (&mut self.data.evaluator, &mut self.trainer.network);
        let evaluation = with_averaged(network, world, |network, world| evaluate(evaluator, network, world))?;
        let (task, tally) = (self.trainer.task(), evaluation.tally);
        let (step, score, set) = (self.trainer.step, task.score(&evaluation), self.data.set);
        let others = task.other_scores(&evaluation);
        if !tally.loss.is_finite() {
            let what =
                format!("the {set} loss is {} with finite parameters: they have grown too large", tally.loss);
            return Err(Error::NonFinite { step, rank: 0, what });
        }
        let (loss, samples) = (tally.mean_loss(), task.count(tally.samples));
        let Judgement { is_best: best, is_again } = self.evaluations.add(step, evaluation, score);
        self.log.write(Event::Evaluate { step, set, loss, score, others, samples, best })?;
        if !is_again && let Some(rate) = self.trainer.observe_evaluation(loss) {
            let text = format!("the {set} loss has stopped falling: the learning rate is now {rate:.5}");
            self.log.note(step, text)?;
        }
        Ok(best)
    }
}
