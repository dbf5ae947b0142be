//! From a job to a run that is ready for its next step: all ranks agree on it and build it. `resume` decides
//! where it begins.

use std::path::PathBuf;

use crate::run::checkpoints::RunCheckpoints;
use crate::run::data::RunData;
use crate::run::entry::Options;
use crate::run::evaluations::Evaluations;
use crate::run::log::RunLog;
use crate::run::progress::RunProgress;
use crate::run::steps::Run;
use crate::setup::build::{build, identify, read, where_it_began};
use crate::setup::feeds::TEST;
use crate::setup::placement::{Placement, differences, place};
use crate::state::hash::program_hash;
use crate::state::own_job::TakenUp;
use crate::state::resume::{Beginning, Resumed};
use crate::state::run_dir::RunDir;
use crate::state::trained_on::no_split;
use crate::step::evaluate::Evaluator;
use crate::step::trainer::Trainer;
use ternflock_base::error::Result;
use ternflock_data::Feeds;
use ternflock_job::Loaded;
use ternflock_nn::Shape;
use ternflock_report::Event;
use ternflock_tensor::vector_instructions;
use ternflock_world::World;

impl<'a> Run<'a> {
    /// Prepares the run and logs its start.
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
        let Feeds { train, evaluation, set, test, vocabulary, preparation } = feeds;
        let identity =
            identify(train.facts(), set, evaluation.facts(), test.as_ref().map(|test| test.facts()));
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
        let checkpoints = RunCheckpoints::open(job, run_dir.path(), world)?;
        let data =
            RunData { evaluator: Evaluator::new(evaluation), set, test, vocabulary, preparation, identity };
        let (progress, evaluations) = (RunProgress::default(), Evaluations::default());
        let log = RunLog::new(sink);
        let mut run = Run { job, stages, trainer, data, run_dir, progress, evaluations, checkpoints, log };
        let Beginning { mut notes, gradients } = run.go_to_start(resumed, begins_with, options, world)?;
        notes.extend(remarks);
        if set == TEST {
            notes.push(format!(
                "the network is chosen on the test set ({}), so its test score is better than its score on \
                 new data would be",
                no_split(&job.data)
            ));
        }
        world.set_context(format_args!("start of the run, measuring the cost of an exchange"));
        let chosen = run.trainer.choose_exchange(world, gradients)?;
        notes.extend(chosen.filter(|reason| !notes.contains(reason)));
        if run.trainer.exchange().would_overlap() && !world.allows_threads() {
            notes.push(
                "the MPI library does not offer MPI_THREAD_FUNNELED: gradients are averaged after each \
                 backward pass, not during it"
                    .into(),
            );
        }
        let precision = run.trainer.network.precision();
        let (products, vectors) = (precision.described(), vector_instructions());
        let all = world.texts(&format!("{products}; vector instructions: {vectors}"))?;
        run.log.write(Event::Start {
            job: job.name.clone(),
            run_dir: run.run_dir.path().into(),
            ranks: world.size(),
            hosts: placement.hosts,
            threads: placement.threads,
            threads_reason: placement.reason,
            blas: placement.blas,
            blas_reason: placement.blas_reason,
            blas_warnings: placement.blas_warnings,
            precision: precision.name(),
            products,
            vectors,
            vectors_warning: differences(&all),
            parameters: run.trainer.network.parameters.values.len(),
            ternary_parameters: run.trainer.exchange().compressed_parameters(),
            algorithm: run.trainer.exchange().algorithm(),
            exchange_every: run.trainer.exchange_every(),
            exchange_every_start: job.exchange.every_start,
            samples: run.trainer.task().count(run.trainer.labels_per_epoch()),
            vocabulary: match run.trainer.network.graph().input() {
                Shape::Tokens { vocabulary, .. } => Some(vocabulary),
                _ => None,
            },
            unknown,
            evaluation_unknown,
            set,
            step: run.progress.first_step(),
            steps: run.trainer.steps + run.stages.later(),
        })?;
        run.log_stage(notes)?;
        Ok(run)
    }

    /// Sets every rank to the point where the run begins: the newest checkpoint if it resumes.
    fn go_to_start(
        &mut self,
        resumed: Option<Resumed>,
        begins_with: Option<PathBuf>,
        options: &Options,
        world: &mut World,
    ) -> Result<Beginning> {
        let beginning = match resumed {
            Some(resumed) => self.resume(resumed, begins_with, options.same_ranks, world)?,
            None => self.begin(begins_with, world)?,
        };
        self.progress = RunProgress::at(self.trainer.step);
        self.trainer.verify(world)?;
        self.log.open(self.run_dir.metrics(), self.trainer.step, world)?;
        Ok(beginning)
    }
}

/// A trainer of `loaded` at its first step on the ranks of `world`, and their placement, without a run
/// directory or evaluation data. The parameters are freshly drawn even if the job begins with a checkpoint.
///
/// # Errors
/// The errors of starting a run.
pub fn prepare(loaded: &Loaded, world: &mut World) -> Result<(Trainer, Placement)> {
    agree(loaded, world)?;
    let placement = place(world)?;
    let feeds = read(loaded, world)?;
    let (_, trainer) = build(loaded, &loaded.job.model, feeds.train, world, false)?;
    Ok((trainer, placement))
}

/// Refuses ranks that differ in job or program.
pub(crate) fn agree(loaded: &Loaded, world: &mut World) -> Result<()> {
    world.set_context(format_args!("start of the run"));
    world.agree("the hash of the job", loaded.job.hash())?;
    world.agree("the hash of the program", program_hash())
}
