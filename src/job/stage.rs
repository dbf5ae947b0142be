//! `[[stage]]`: stretches of a run, one after the other, each with settings of its own.
//!
//! A stage's sections lie over those of the job, key by key: what it does not say is the job's. One that says another kind
//! of optimizer or schedule has none of the keys that belong to the job's kind.

use std::collections::HashSet;

use serde::Serialize;
use toml::{Table, Value};

use super::problems::Problems;
use super::read::Reader;
use super::source::Source;
use super::train::Length;
use super::value::{Rule, describe};
use super::{Force, Job, LowRank, Optimizer, Schedule, Shrink, SmoothOut, Sparsity, Train, names, overrides};

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// What it is called; its last checkpoint too.
    pub name: String,
    /// Whether weights that are zero stay zero.
    pub freeze_zeros: bool,
    /// Surgery before its first step: what does nothing goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrink: Option<Shrink>,
    /// Surgery after that: thin layers take the place of thick ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_rank: Option<LowRank>,
    /// Its length, and how often it looks; neither epochs nor steps: none, surgery is all.
    pub train: Train,
    /// The update rule.
    pub optimizer: Optimizer,
    /// The learning rate, by the steps of this stage.
    pub schedule: Schedule,
    /// What pushes structures to zero.
    pub sparsity: Sparsity,
    /// What pulls filters together.
    pub force: Force,
    /// What moves the weights that gradients are taken at.
    pub smoothout: SmoothOut,
}

/// The sections that a stage may lay over the job's.
pub(super) const SECTIONS: [&str; 6] = ["train", "optimizer", "schedule", "sparsity", "force", "smoothout"];

const TOP: &str = "in a [[stage]]";

/// The maximum number of stages of a job.
pub(super) const MOST_STAGES: usize = 256;

/// The maximum number of values that all stages together inherit from the job's sections: each stage has its own copy.
const MOST_TAKEN: usize = 1 << 18;

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

/// The stages of `table`. The job's own sections, including `train`, have been read already; `known` contains their keys.
pub(super) fn read(
    table: &Table,
    source: &Source,
    train: &Train,
    known: &HashSet<String>,
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
    let inherited = inherited(table, known);
    if let Err(message) = check_size(&inherited, entries.len()) {
        problems.add(source.place("stage"), message);
        return (stages, problems);
    }
    for (number, entry) in entries.iter().filter_map(Value::as_table).enumerate() {
        let mut source = source.of_stage(number);
        let merged = merge(&inherited, entry, &mut source);
        let mut reader = Reader::new(&merged, &source, problems, TOP);
        let stage = read_one(&mut reader, entry, train, &stages);
        problems = reader.finish();
        stages.push(stage);
    }
    (stages, problems)
}

/// What each stage inherits: the sections of the job with their known keys. Unknown keys of the job have been reported
/// already. This is done once for all stages, because a job may have many unknown keys.
fn inherited(table: &Table, known: &HashSet<String>) -> Vec<(&'static str, Table)> {
    let sections = SECTIONS.into_iter().filter_map(|name| Some((name, table.get(name)?.as_table()?)));
    sections
        .map(|(name, section)| {
            let own = section.iter().filter(|(key, _)| known.contains(&names::path(name, key)));
            let mut keys: Table = own.map(|(key, value)| (key.clone(), value.clone())).collect();
            // Which the job must not say; that is reported once.
            Train::LENGTH.iter().filter(|_| name == "train").for_each(|key| _ = keys.remove(*key));
            (name, keys)
        })
        .collect()
}

/// Refuses more stages than a job may have, or more than the size of its sections allows.
fn check_size(inherited: &[(&str, Table)], stages: usize) -> Result<(), String> {
    if stages > MOST_STAGES {
        return Err(format!("there may be {MOST_STAGES} stages, found {stages}"));
    }
    let (all, largest) = inherited
        .iter()
        .map(|(name, keys)| (keys.values().map(values).sum::<usize>(), *name))
        .fold((0, (0, "")), |(all, largest), own| (all + own.0, largest.max(own)));
    if stages * all <= MOST_TAKEN {
        return Ok(());
    }
    Err(format!(
        "{stages} stages would each take {all} values from the job's sections, most of them from [{}]; all together may \
         take {MOST_TAKEN}: have fewer stages, or shorter lists",
        largest.1
    ))
}

/// The number of values in `value`, including `value` itself.
fn values(value: &Value) -> usize {
    match value {
        Value::Array(entries) => 1 + entries.iter().map(values).sum::<usize>(),
        Value::Table(table) => 1 + table.iter().map(|(_, value)| values(value)).sum::<usize>(),
        // A long string counts as several values.
        Value::String(text) => 1 + text.len() / 64,
        _ => 1,
    }
}

fn read_one(reader: &mut Reader, entry: &Table, train: &Train, before: &[Stage]) -> Stage {
    const NAME: Rule<String> =
        Rule::new("1 to 40 letters, digits, `_` or `-`, the first a letter or digit", |name| is_fit(name));
    let mut top = reader.top();
    let name = top.required("name", &NAME);
    if !name.is_empty() && before.iter().any(|stage| stage.name == name) {
        top.refuse("name", format!("two stages are called `{name}`"));
    }
    let freeze_zeros = top.or("freeze_zeros", false, &Rule::ANY);
    let has = |key| entry.get(key).is_some_and(Value::is_table);
    let shrink = Shrink::read(&mut reader.section("shrink"));
    let low_rank = LowRank::read(&mut reader.section("low_rank"));
    let (shrink, low_rank) = (has("shrink").then_some(shrink), has("low_rank").then_some(low_rank));
    let surgery = shrink.is_some() || low_rank.is_some();
    let train = read_train(reader, surgery, train);
    let stage = Stage {
        name,
        freeze_zeros,
        shrink,
        low_rank,
        optimizer: Optimizer::read(&mut reader.section("optimizer")),
        schedule: Schedule::read(&mut reader.section("schedule"), &train),
        train,
        sparsity: Sparsity::read(&mut reader.section("sparsity")),
        force: Force::read(&mut reader.section("force")),
        smoothout: SmoothOut::read(&mut reader.section("smoothout")),
    };
    if stage.train.steps.is_some() || stage.train.epochs.is_some() {
        stage.sparsity.check_beside(&stage.optimizer, reader);
    }
    stage
}

/// Data is cut into batches once, so these are the same in all stages.
fn read_train(reader: &mut Reader, surgery: bool, job: &Train) -> Train {
    let mut section = reader.section("train");
    let train = Train::read(&mut section, Length::Stage { surgery });
    for (key, same) in [
        ("global_batch", train.global_batch == job.global_batch),
        ("micro_batch", train.micro_batch == job.micro_batch),
        ("seed", train.seed == job.seed),
    ] {
        if !same {
            section.refuse(key, format!("train.{key} is that of the whole job; a stage cannot change it"));
        }
    }
    train
}

/// The `inherited` sections overridden by those of `entry`, and the other keys of `entry`.
fn merge(inherited: &[(&str, Table)], entry: &Table, source: &mut Source) -> Table {
    let mut merged = entry.clone();
    for &(name, ref base) in inherited {
        let mut keys = base.clone();
        match entry.get(name) {
            Some(Value::Table(over)) => {
                overrides::drop_other_kind(name, &mut keys, over, source);
                keys.extend(over.clone());
            }
            // What is no section is reported where it is read.
            Some(_) => continue,
            None => {}
        }
        merged.insert(name.to_owned(), Value::Table(keys));
    }
    merged
}

fn is_fit(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=40).contains(&name.len()) && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(inside)
}
