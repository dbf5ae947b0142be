//! Sections whose `kind` decides which other keys they have.

use super::choice::{Choice, word};
use super::default::Given;
use super::key::Key;
use super::section_reader::SectionReader;

impl SectionReader<'_, '_> {
    /// The kind that the section sets in `key`; keys of other kinds are refused. `None` if the kind does not
    /// exist, because it is then unknown which keys are wrong.
    pub fn kind<K: Choice + PartialEq>(&mut self, key: &Key<K, Given<K>>) -> Option<K> {
        let kind = self.take(key.name, &key.rule).ok()?.unwrap_or_else(key.default.0);
        let kind_name = word(kind);
        let section = self.section;
        for key in section.names() {
            let Some(owners) = section.owners(key).filter(|owners| !owners.contains(&kind_name)) else {
                continue;
            };
            if self.has(key) {
                let owners: Vec<String> = owners.iter().map(|owner| format!("\"{owner}\"")).collect();
                let (owners, name) = (owners.join(", "), section.name);
                let message =
                    format!("{name}.{key} belongs to kind = {owners}; this {name} is \"{kind_name}\"");
                self.refuse(key, message);
            }
        }
        Some(kind)
    }
}
