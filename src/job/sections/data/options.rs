//! `data.options`: the settings of a dataset that another program has registered.

use toml::Table;

use super::datasets::is_registered;
use crate::syntax::{Absent, Definition, Key, SectionReader};

const OPTIONS: Key<Table, Absent> = Key::new(
    "options",
    Absent("none"),
    "the settings of a dataset that [a program of your own](how-to/extend.md#a-dataset) registers.",
);

pub(super) const KEYS: &[&dyn Definition] = &[&OPTIONS];

/// Reads the key of `section`.
pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<Table> {
    let options = section.read(&OPTIONS);
    if options.is_some() && !is_registered(dataset) {
        let message =
            format!("data.options is for datasets that a program registers; this job has \"{dataset}\"");
        section.refuse(OPTIONS.name, message);
    }
    options
}
