//! Job files: what to train, on what, and how. `docs/job-file.md` describes every key.
//!
//! A section is a file here: a struct, its defaults, and a `read` that names its keys. Reading collects every problem
//! of a job before it refuses it; each is placed at the line, or the `--set`, that said the offending value.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod canonical;
mod checkpoint;
mod data;
mod exchange;
mod force;
mod images;
mod kinds;
mod low_rank;
mod model;
mod names;
mod optimizer;
mod overrides;
mod places;
mod presets;
mod problems;
mod read;
mod schedule;
mod shrink;
mod size;
mod smoothout;
mod source;
mod sparsity;
mod split;
mod stage;
mod synthetic_text;
mod text;
mod train;
mod value;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toml::Table;

pub use canonical::Difference;
pub use checkpoint::Checkpoint;
pub use data::{DATASETS, Data};
pub use exchange::{Algorithm, Exchange, Gradients, Overlap};
pub use force::{Force, ForceKind};
pub use images::{Augment, Idx, Synthetic};
pub use low_rank::{LowRank, LowRankMethod};
pub use model::Model;
pub use names::suggest;
pub use optimizer::{Optimizer, OptimizerKind};
pub use presets::{find_preset, presets};
pub use schedule::{Scaling, ScalingKind, Schedule, ScheduleKind};
pub use shrink::Shrink;
pub use smoothout::{Adapt, Distribution, Noise, NoiseSchedule, SmoothOut};
pub use source::Source;
pub use sparsity::{Sparsity, SparsityMethod, Strengths};
pub use split::{Split, Validation};
pub use stage::Stage;
pub use synthetic_text::SyntheticText;
pub use text::{Level, Punctuation, Text};
pub use train::Train;

use problems::Problems;
use read::Reader;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_input;
use train::Length;
use value::Rule;

/// A job, complete: every default is filled in, every value is within its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table")]
pub struct Job {
    /// The job's name, fit to name a directory: `name` at the top of the file, by default the file's own name
    /// without its ending.
    pub name: String,
    /// What it trains on.
    pub data: Data,
    /// The network.
    pub model: Model,
    /// How long and how much at a time.
    pub train: Train,
    /// The update rule.
    pub optimizer: Optimizer,
    /// The learning rate from step to step.
    pub schedule: Schedule,
    /// What pushes structures to zero.
    pub sparsity: Sparsity,
    /// What pulls filters together.
    pub force: Force,
    /// What moves the weights that gradients are taken at.
    pub smoothout: SmoothOut,
    /// How gradients are averaged.
    pub exchange: Exchange,
    /// What is written down.
    pub checkpoint: Checkpoint,
    /// The stretches of the run, each with settings of its own; none: it is one.
    #[serde(rename = "stage", skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
}

/// A job and where each of its values was said.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The effective job.
    pub job: Job,
    /// Whom to blame for a value of it.
    pub source: Source,
    /// The source of the job.
    request: Request,
}

/// The source of a job, to read it again with other overrides.
#[derive(Clone, Debug)]
struct Request {
    file: String,
    text: Arc<str>,
    sets: Vec<String>,
    stem: Option<String>,
}

impl Loaded {
    /// The overrides with which the job was read.
    pub fn sets(&self) -> &[String] {
        &self.request.sets
    }

    /// The file of the job, as messages name it.
    pub fn file(&self) -> &str {
        &self.request.file
    }

    /// Reads the same file again, with the overrides of the `earlier` starts of a run, one start after the other, and then
    /// those with which it was read.
    ///
    /// # Errors
    /// Those of [`load`].
    pub fn after(&self, earlier: &[Vec<String>]) -> Result<Loaded> {
        // Layers were checked when the job was first read; overrides of layers are checked again when the network is
        // built.
        read_request(self.request.clone(), earlier, |_| Vec::new())
    }

    /// Reads the same file again, with `sets` instead of the overrides with which it was read.
    ///
    /// # Errors
    /// Those of [`load_checked`].
    pub fn with_sets(&self, sets: Vec<String>, check: Check) -> Result<Loaded> {
        read_request(Request { sets, ..self.request.clone() }, &[], check)
    }
}

/// The maximum size of a job file; a file given by mistake may have any size.
pub const MOST_BYTES: u64 = 16 << 20;

/// Reads the job file at `path` and lays each of `sets` (`section.key=value`) over it, the last one said winning.
///
/// # Errors
/// [`Error::Job`] with everything that is wrong, one line a problem, each line with its place.
pub fn load(path: impl AsRef<Path>, sets: &[String]) -> Result<Loaded> {
    load_checked(path, sets, |_| Vec::new())
}

/// Problems that a higher module finds in a job that was read as far as possible: the path of the value, and what is
/// wrong with it.
pub type Check = fn(&Job) -> Vec<(String, String)>;

/// Like [`load`], but reports what `check` finds together with all other problems.
///
/// # Errors
/// Those of [`load`], and the problems that `check` finds.
pub fn load_checked(path: impl AsRef<Path>, sets: &[String], check: Check) -> Result<Loaded> {
    load_after(path, &[], sets, check)
}

/// Like [`load_checked`], with the overrides of the `earlier` starts of a run applied before `sets`. Unlike [`Loaded::after`], the
/// file may be incomplete without them.
///
/// # Errors
/// Those of [`load_checked`].
pub fn load_after(
    path: impl AsRef<Path>,
    earlier: &[Vec<String>],
    sets: &[String],
    check: Check,
) -> Result<Loaded> {
    let path = path.as_ref();
    let file = path.display().to_string();
    let (text, sets) = (read_text(path, &file)?.into(), sets.to_vec());
    read_request(Request { file, text, sets, stem: stem(path) }, earlier, check)
}

/// The table in `text`, unless that has so many values that they would fill the memory.
///
/// # Errors
/// Why it is refused.
pub fn parse_table(text: &str) -> std::result::Result<Table, String> {
    size::check(text)?;
    text.parse().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// The name of the job in the file at `path`, if it can be found without validating the whole file.
pub fn name_in(path: impl AsRef<Path>) -> Option<String> {
    let path = path.as_ref();
    let table = parse_table(&read_text(path, &path.display().to_string()).ok()?).ok()?;
    match table.get("name") {
        Some(name) => Some(name.as_str()?.to_owned()),
        None => stem(path),
    }
}

fn stem(path: &Path) -> Option<String> {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
}

/// The same of a job that stands in no file: `text`, which objections call `file`. One that says no name is called `stem`.
///
/// # Errors
/// Those of [`load`].
pub fn parse(file: String, text: &str, sets: &[String], stem: Option<&str>) -> Result<Loaded> {
    let request = Request { file, text: text.into(), sets: sets.to_vec(), stem: stem.map(ToOwned::to_owned) };
    read_request(request, &[], |_| Vec::new())
}

/// Reads the job of `request`, with the overrides of `earlier` starts applied before its own. Each start treats those
/// before it like the file: if it replaces a kind, what they set for the old kind is dropped.
fn read_request(request: Request, earlier: &[Vec<String>], check: Check) -> Result<Loaded> {
    let (mut table, mut source) = source::parse(request.file.clone(), &request.text)?;
    let mut problems = Problems::default();
    for sets in earlier {
        overrides::apply(sets, &mut table, &mut source, &mut problems);
        source.settle_sets();
    }
    overrides::apply(&request.sets, &mut table, &mut source, &mut problems);
    let job = read(&table, &source, problems, request.stem.as_deref(), check)?;
    Ok(Loaded { job, source, request })
}

fn read_text(path: &Path, file: &str) -> Result<String> {
    let refuse = |at: String, message: String| Error::Job { at, message };
    let bytes = read_input(path, MOST_BYTES)
        .map_err(|error| refuse(file.to_owned(), format!("cannot read the job file: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let line = source::Lines::of(error.as_bytes()).line(error.utf8_error().valid_up_to());
        refuse(format!("{file}:{line}"), "not UTF-8; save the job file as UTF-8 text".to_owned())
    })
}

/// Reads a job from its values. One that says no name is called `stem`.
fn read(table: &Table, source: &Source, problems: Problems, stem: Option<&str>, check: Check) -> Result<Job> {
    let mut reader = Reader::new(table, source, problems, "at the top of the file");
    let length = if table.contains_key("stage") { Length::Stages } else { Length::Job };
    let mut job = read_sections(&mut reader, length, stem);
    // In a job with stages, these are only defaults, which stages may replace.
    if matches!(length, Length::Job) {
        job.sparsity.check_beside(&job.optimizer, &mut reader);
    }
    let known = reader.keys().into_iter().collect();
    let (stages, mut problems) = stage::read(table, source, &job.train, &known, reader.finish());
    check(&job).into_iter().for_each(|(path, message)| problems.add(source.place(&path), message));
    problems.into_result(source)?;
    job.stages = stages;
    Ok(job)
}

/// Everything but the stages.
fn read_sections(reader: &mut Reader, length: Length, stem: Option<&str>) -> Job {
    reader.top().know("stage");
    let name = read_name(reader, stem);
    let data = Data::read(&mut reader.section("data"));
    let model = Model::read(&mut reader.section("model"));
    let train = Train::read(&mut reader.section("train"), length);
    Job {
        name,
        data,
        model,
        optimizer: Optimizer::read(&mut reader.section("optimizer")),
        schedule: Schedule::read(&mut reader.section("schedule"), &train),
        train,
        sparsity: Sparsity::read(&mut reader.section("sparsity")),
        force: Force::read(&mut reader.section("force")),
        smoothout: SmoothOut::read(&mut reader.section("smoothout")),
        exchange: Exchange::read(&mut reader.section("exchange")),
        checkpoint: Checkpoint::read(&mut reader.section("checkpoint")),
        stages: Vec::new(),
    }
}

/// The keys that `--set` accepts, with their sections, as in `train.epochs`, without those of stages.
pub fn keys() -> Vec<String> {
    let (table, source) = (Table::new(), Source::new(String::new()));
    let mut reader = Reader::new(&table, &source, Problems::default(), "");
    read_sections(&mut reader, Length::Job, None);
    reader.keys()
}

/// The name says which directory the run goes to, so it must be fit for one.
fn read_name(reader: &mut Reader, stem: Option<&str>) -> String {
    const FIT: Rule<String> =
        Rule::new("1 to 100 letters, digits, `.`, `_` or `-`, the first a letter or digit", |name| {
            is_fit(name)
        });
    let mut top = reader.top();
    if top.has("name") {
        return top.or("name", String::new(), &FIT);
    }
    top.know("name");
    let name = stem.unwrap_or_default().to_owned();
    if !is_fit(&name) {
        let must_be = FIT.must_be;
        top.refuse(
            "name",
            format!("a job's name must be {must_be}, found \"{name}\"; rename the file or set `name`"),
        );
    }
    name
}

fn is_fit(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=100).contains(&name.len()) && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(inside)
}
