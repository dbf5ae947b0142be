//! The definition of a section: its keys, and how they depend on each other.

use super::default::Default;
use super::key::Definition;

/// A section of a job file.
pub(crate) struct Section {
    /// Its name in the file; empty: the top of a file or of a stage.
    pub name: &'static str,
    /// A description for the reference and for editors.
    pub about: &'static str,
    /// Its keys, in groups. Advice about unknown keys lists them in this order. A key whose type, bounds or default depend
    /// on the kind has several definitions.
    pub keys: &'static [&'static [&'static dyn Definition]],
    /// The key whose value decides which other keys exist.
    pub selector: Option<Selector>,
    /// The keys that exclude each other, exactly one of which a job has; empty: no such keys.
    pub exactly_one: &'static [&'static str],
}

/// A key whose value, a kind, decides which other keys its section has.
pub(crate) struct Selector {
    /// The key.
    pub key: &'static dyn Definition,
    /// All kinds.
    pub kinds: fn() -> Vec<&'static str>,
    /// Whether an override that selects another kind drops the keys that belong to some kinds only, because they describe
    /// the kind that was replaced.
    pub resets: bool,
}

impl Selector {
    /// The kind of a section that does not set one.
    pub fn default(&self) -> Option<String> {
        match self.key.default() {
            Default::Value(value) => value.as_str().map(str::to_owned),
            Default::Required | Default::Absent(_) => None,
        }
    }
}

impl Section {
    /// A section of independent keys.
    pub const fn new(
        name: &'static str,
        about: &'static str,
        keys: &'static [&'static [&'static dyn Definition]],
    ) -> Self {
        Section { name, about, keys, selector: None, exactly_one: &[] }
    }

    /// Its definitions.
    pub fn definitions(&self) -> impl Iterator<Item = &'static dyn Definition> + use<> {
        self.keys.iter().copied().flatten().copied()
    }

    /// The definitions of `key`.
    pub fn definitions_of(&self, key: &str) -> impl Iterator<Item = &'static dyn Definition> {
        self.definitions().filter(move |definition| definition.name() == key)
    }

    /// The names of its keys, each once.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for definition in self.definitions() {
            if !names.contains(&definition.name()) {
                names.push(definition.name());
            }
        }
        names
    }

    /// Whether it has a key `key`, of any kind.
    pub fn has(&self, key: &str) -> bool {
        self.definitions_of(key).next().is_some()
    }

    /// The kinds that `key` belongs to; `None`: it belongs to every kind.
    pub fn owners(&self, key: &str) -> Option<Vec<&'static str>> {
        let Some(selector) = &self.selector else { return None };
        if self.definitions_of(key).any(|definition| definition.of().kinds.is_empty()) {
            return None;
        }
        let kinds = (selector.kinds)().into_iter();
        Some(kinds.filter(|kind| self.definition(key, kind).is_some()).collect())
    }

    /// Whether `key` belongs to some kinds only.
    pub fn is_owned(&self, key: &str) -> bool {
        self.has(key) && self.owners(key).is_some()
    }

    /// The definition of `key` for `kind`. A definition for some kinds takes precedence over one for all
    /// kinds.
    pub fn definition(&self, key: &str, kind: &str) -> Option<&'static dyn Definition> {
        let definitions = self.definitions_of(key).filter(|definition| definition.of().includes(kind));
        definitions.max_by_key(|definition| !definition.of().kinds.is_empty())
    }
}
