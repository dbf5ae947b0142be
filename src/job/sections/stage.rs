//! `[[stage]]`: the stages of a run, one after the other, each with its own settings. The sections of a stage
//! override those of the job, key by key. A stage with another kind of optimizer or schedule does not inherit
//! the keys that belong to the job's kind.

mod inheritance;

use serde::Serialize;
use serde_json::json;
use toml::{Table, Value};

use super::train::Length;
use super::{Force, LowRank, Optimizer, Schedule, Shrink, SmoothOut, Sparsity, Train};
use super::{force, low_rank, optimizer, schedule, shrink, smoothout, sparsity, train};
use crate::syntax::{Given, Key, Problems, Reader, Required, Rule, Section, Source, describe};
use inheritance::{check_size, inherited, merge};

pub(crate) use inheritance::INHERITED;

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its name, which is also in the name of its last checkpoint.
    pub name: String,
    /// Whether weights that are zero stay zero.
    pub freeze_zeros: bool,
    /// Surgery before the first step: dead structures are removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrink: Option<Shrink>,
    /// Surgery after that: pairs of thin layers replace layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_rank: Option<LowRank>,
    /// Its length and the interval of evaluations. With neither epochs nor steps, it only performs surgery.
    pub train: Train,
    /// The update rule.
    pub optimizer: Optimizer,
    /// The learning-rate schedule, which counts the steps of this stage.
    pub schedule: Schedule,
    /// Penalties that push structures to zero.
    pub sparsity: Sparsity,
    /// The force that pulls filters together.
    pub force: Force,
    /// The noise on the weights at which gradients are computed.
    pub smoothout: SmoothOut,
}

const NAME: Key<String, Required> = Key::new("name", Required, "The stage's name, which no other stage has.")
    .such(Rule::Such {
        must_be: "1 to 40 letters, digits, `_` or `-`, the first a letter or digit",
        holds: |name| is_fit(name),
        schema: || json!({ "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$" }),
    });

const FREEZE_ZEROS: Key<bool> = Key::new(
    "freeze_zeros",
    Given(|| false),
    "Weights that are zero stay zero, as in the fine-tuning of the published code. Biases and the parameters \
     of batch norm are not frozen.",
);

/// The keys of a stage outside its sections.
pub(crate) const STAGE: Section = Section::new(
    "",
    "A stage of the run. Its settings override those of the job, key by key.",
    &[&[&NAME, &FREEZE_ZEROS]],
);

/// The sections that only a stage has.
pub(crate) const IN_STAGE: [&Section; 2] = [&shrink::SECTION, &low_rank::SECTION];

const TOP: &str = "in a [[stage]]";

/// The stages of `table`. The job's own sections, including `train`, have been read already.
pub(crate) fn read(
    table: &Table,
    source: &Source,
    train: &Train,
    mut problems: Problems,
) -> (Vec<Stage>, Problems) {
    let mut stages: Vec<Stage> = Vec::new();
    let Some(value) = table.get("stage") else { return (stages, problems) };
    let entries =
        value.as_array().filter(|entries| !entries.is_empty() && entries.iter().all(Value::is_table));
    let Some(entries) = entries else {
        let message =
            format!("stages are an array of tables, each under [[stage]], found {}", describe(value));
        problems.add(source.place("stage"), message);
        return (stages, problems);
    };
    let inherited = inherited(table);
    if let Err(message) = check_size(&inherited, entries.len()) {
        problems.add(source.place("stage"), message);
        return (stages, problems);
    }
    for (number, entry) in entries.iter().filter_map(Value::as_table).enumerate() {
        let mut source = source.of_stage(number, &INHERITED);
        let merged = merge(&inherited, entry, &mut source);
        let mut reader = Reader::new(&merged, &source, problems, TOP);
        let stage = read_one(&mut reader, entry, train, &stages);
        problems = reader.finish();
        stages.push(stage);
    }
    (stages, problems)
}

fn read_one(reader: &mut Reader, entry: &Table, train: &Train, before: &[Stage]) -> Stage {
    let mut top = reader.section(&STAGE);
    let name = top.read(&NAME);
    if !name.is_empty() && before.iter().any(|stage| stage.name == name) {
        top.refuse("name", format!("two stages are called `{name}`"));
    }
    let freeze_zeros = top.read(&FREEZE_ZEROS);
    let has = |key| entry.get(key).is_some_and(Value::is_table);
    let shrink = Shrink::read(&mut reader.section(&shrink::SECTION));
    let low_rank = LowRank::read(&mut reader.section(&low_rank::SECTION));
    let (shrink, low_rank) = (has("shrink").then_some(shrink), has("low_rank").then_some(low_rank));
    let surgery = shrink.is_some() || low_rank.is_some();
    let train = read_train(reader, surgery, train);
    let stage = Stage {
        name,
        freeze_zeros,
        shrink,
        low_rank,
        optimizer: Optimizer::read(&mut reader.section(&optimizer::SECTION)),
        schedule: Schedule::read(&mut reader.section(&schedule::SECTION), &train),
        train,
        sparsity: Sparsity::read(&mut reader.section(&sparsity::SECTION)),
        force: Force::read(&mut reader.section(&force::SECTION)),
        smoothout: SmoothOut::read(&mut reader.section(&smoothout::SECTION)),
    };
    if stage.train.steps.is_some() || stage.train.epochs.is_some() {
        stage.sparsity.check_beside(&stage.optimizer, reader);
    }
    stage
}

/// Data is cut into batches once, and a network is built for one precision, so these are the same in all stages.
fn read_train(reader: &mut Reader, surgery: bool, job: &Train) -> Train {
    let mut section = reader.section(&train::SECTION);
    let train = Train::read(&mut section, Length::Stage { surgery });
    for (key, same) in [
        ("global_batch", train.global_batch == job.global_batch),
        ("micro_batch", train.micro_batch == job.micro_batch),
        ("precision", train.precision == job.precision),
        ("seed", train.seed == job.seed),
    ] {
        if !same {
            section.refuse(key, format!("train.{key} applies to the entire job; a stage cannot change it"));
        }
    }
    train
}

fn is_fit(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=40).contains(&name.len()) && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(inside)
}
