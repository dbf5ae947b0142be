//! Sections whose `kind` decides what other keys they have.

use super::read::Section;
use super::value::{Rule, choose};

/// The kinds of a section, and the keys that only some of them have.
pub(super) struct Kinds<K: 'static> {
    /// Each kind by its name.
    pub names: &'static [(&'static str, K)],
    /// Each key that is not for every kind, with those it is for.
    pub owners: &'static [(&'static str, &'static [K])],
}

impl<K: Copy + PartialEq> Kinds<K> {
    /// The kind that `section` says, by default `default`, and a refusal of the keys of others; `None` where it says one
    /// that there is not: then no key can be said to be wrong.
    pub fn read(&self, section: &mut Section, default: K) -> Option<K> {
        let kind = section.take_as("kind", &Rule::ANY, |value| choose(value, self.names));
        self.owners.iter().for_each(|(key, _)| section.know(key));
        let kind = kind.ok()?.unwrap_or(default);
        for (key, owners) in self.owners {
            if section.has(key) && !owners.contains(&kind) {
                let owners: Vec<String> =
                    owners.iter().map(|&owner| format!("\"{}\"", self.name(owner))).collect();
                let (owners, kind, name) = (owners.join(", "), self.name(kind), section.name());
                section.refuse(
                    key,
                    format!("{name}.{key} belongs to kind = {owners}; this {name} is \"{kind}\""),
                );
            }
        }
        Some(kind)
    }

    /// Whether `key` is one that only some kinds have.
    pub fn owns(&self, key: &str) -> bool {
        self.owners.iter().any(|(owned, _)| *owned == key)
    }

    fn name(&self, kind: K) -> &'static str {
        self.names.iter().find(|(_, other)| *other == kind).map_or("", |(name, _)| *name)
    }
}
