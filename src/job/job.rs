//! A complete job, and how it is read from the values of its file.

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::sections::{
    Checkpoint, Data, Exchange, Force, Length, Model, Optimizer, SECTIONS, Schedule, SmoothOut, Sparsity,
    Stage, Task, Train, checkpoint, data, exchange, force, model, optimizer, read_name, read_stages,
    schedule, smoothout, sparsity, task, train,
};
use crate::syntax::{Problems, Reader, Section, Source, is_default, path};
use ternflock_base::error::Result;

/// A complete job: every default is filled in, and every value is within its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table")]
pub struct Job {
    /// The job's name, suitable as the name of a directory: `name` at the top of the file, by default the
    /// file's own name without its ending.
    pub name: String,
    /// The data to train on.
    pub data: Data,
    /// What the network learns.
    #[serde(skip_serializing_if = "is_default")]
    pub task: Task,
    /// The network.
    pub model: Model,
    /// The length of the training and the batch size.
    pub train: Train,
    /// The update rule.
    pub optimizer: Optimizer,
    /// The learning rate from step to step.
    pub schedule: Schedule,
    /// Penalties that push structures to zero.
    pub sparsity: Sparsity,
    /// The force that pulls filters together.
    pub force: Force,
    /// The noise on the weights at which gradients are computed.
    pub smoothout: SmoothOut,
    /// How gradients are averaged.
    pub exchange: Exchange,
    /// When checkpoints are written, and which are kept.
    pub checkpoint: Checkpoint,
    /// The stages of the run, each with its own settings; empty: the job has no stages.
    #[serde(rename = "stage", skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
}

impl Stage {
    /// The settings of `job` in this stage.
    pub fn settings(&self, job: &Job) -> Job {
        Job {
            train: self.train.clone(),
            optimizer: self.optimizer.clone(),
            schedule: self.schedule.clone(),
            sparsity: self.sparsity.clone(),
            force: self.force.clone(),
            smoothout: self.smoothout.clone(),
            stages: Vec::new(),
            ..job.clone()
        }
    }
}

/// Finds problems that only a higher crate can see, in a job that was read as far as possible: for each, the
/// path of the value and a message.
pub type Check = fn(&Job) -> Vec<(String, String)>;

/// Reads a job from its values. A job without a name is called `stem`.
pub(crate) fn read(
    table: &Table,
    source: &Source,
    problems: Problems,
    stem: Option<&str>,
    check: Check,
) -> Result<Job> {
    let mut reader = Reader::new(table, source, problems, "at the top of the file");
    let length = if table.contains_key("stage") { Length::Stages } else { Length::Job };
    let mut job = read_sections(&mut reader, length, stem);
    // In a job with stages, these are only defaults, which stages may replace.
    if matches!(length, Length::Job) {
        job.sparsity.check_beside(&job.optimizer, &mut reader);
    }
    let (stages, mut problems) = read_stages(table, source, &job.train, reader.finish());
    check(&job).into_iter().for_each(|(path, message)| problems.add(source.place(&path), message));
    problems.into_result(source)?;
    job.stages = stages;
    Ok(job)
}

/// Everything but the stages.
fn read_sections(reader: &mut Reader, length: Length, stem: Option<&str>) -> Job {
    let name = read_name(reader, stem);
    let data = Data::read(&mut reader.section(&data::SECTION));
    let task = Task::read(&mut reader.section(&task::SECTION));
    let model = Model::read(&mut reader.section(&model::SECTION));
    let train = Train::read(&mut reader.section(&train::SECTION), length);
    Job {
        name,
        data,
        task,
        model,
        optimizer: Optimizer::read(&mut reader.section(&optimizer::SECTION)),
        schedule: Schedule::read(&mut reader.section(&schedule::SECTION), &train),
        train,
        sparsity: Sparsity::read(&mut reader.section(&sparsity::SECTION)),
        force: Force::read(&mut reader.section(&force::SECTION)),
        smoothout: SmoothOut::read(&mut reader.section(&smoothout::SECTION)),
        exchange: Exchange::read(&mut reader.section(&exchange::SECTION)),
        checkpoint: Checkpoint::read(&mut reader.section(&checkpoint::SECTION)),
        stages: Vec::new(),
    }
}

/// The keys that `--set` accepts, with their sections, as in `train.epochs`, without those of stages.
pub fn keys() -> Vec<String> {
    let of = |section: &&Section| {
        section.names().into_iter().map(|key| path(section.name, key)).collect::<Vec<_>>()
    };
    SECTIONS.iter().flat_map(of).collect()
}
