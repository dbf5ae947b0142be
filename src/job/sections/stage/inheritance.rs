//! What stages inherit from the sections of their job.

use toml::{Table, Value};

use crate::sections::{force, optimizer, schedule, smoothout, sparsity, train};
use crate::syntax::{MOST_STAGES, Section, Source, drop_other_kind};

/// The sections that a stage may override.
const SECTIONS: [&Section; 6] = [
    &train::SECTION,
    &optimizer::SECTION,
    &schedule::SECTION,
    &sparsity::SECTION,
    &force::SECTION,
    &smoothout::SECTION,
];

/// Their names.
pub(crate) const INHERITED: [&str; 6] = {
    let mut names = [""; 6];
    let mut number = 0;
    while number < names.len() {
        names[number] = SECTIONS[number].name;
        number += 1;
    }
    names
};

/// A section of the job, with the keys that a stage inherits.
type Inherited = (&'static Section, Table);

/// The maximum number of values that all stages together inherit from the job's sections: each stage has its own copy.
const MOST_TAKEN: usize = 1 << 18;

/// What each stage inherits: the sections of the job with their known keys. Unknown keys of the job have been reported
/// already. This is done once for all stages, because a job may have many unknown keys.
pub(super) fn inherited(table: &Table) -> Vec<Inherited> {
    let sections =
        SECTIONS.iter().filter_map(|&section| Some((section, table.get(section.name)?.as_table()?)));
    sections
        .map(|(section, table)| {
            let own = table.iter().filter(|(key, _)| section.has(key));
            let mut keys: Table = own.map(|(key, value)| (key.clone(), value.clone())).collect();
            // A job with stages must not set these; that is reported once.
            train::Train::LENGTH
                .iter()
                .filter(|_| section.name == "train")
                .for_each(|key| _ = keys.remove(*key));
            (section, keys)
        })
        .collect()
}

/// Refuses more stages than a job may have, or more than the size of its sections allows.
pub(super) fn check_size(inherited: &[Inherited], stages: usize) -> Result<(), String> {
    if stages > MOST_STAGES {
        return Err(format!("there may be {MOST_STAGES} stages, found {stages}"));
    }
    let (all, largest) = inherited
        .iter()
        .map(|(section, keys)| (keys.values().map(values).sum::<usize>(), section.name))
        .fold((0, (0, "")), |(all, largest), own| (all + own.0, largest.max(own)));
    if stages * all <= MOST_TAKEN {
        return Ok(());
    }
    Err(format!(
        "{stages} stages would each inherit {all} values from the job's sections, most of them from [{}]; \
         all stages together may inherit {MOST_TAKEN}: use fewer stages or shorter lists",
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

/// The `inherited` sections overridden by those of `entry`, and the other keys of `entry`.
pub(super) fn merge(inherited: &[Inherited], entry: &Table, source: &mut Source) -> Table {
    let mut merged = entry.clone();
    for (section, base) in inherited {
        let name = section.name;
        let mut keys = base.clone();
        match entry.get(name) {
            Some(Value::Table(over)) => {
                drop_other_kind(section, &mut keys, over, source);
                keys.extend(over.clone());
            }
            // A value that is not a section is reported where it is read.
            Some(_) => continue,
            None => {}
        }
        merged.insert(name.to_owned(), Value::Table(keys));
    }
    merged
}
