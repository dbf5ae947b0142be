//! Reading the keys of one section.

use toml::Table;

use super::default::Fallback;
use super::key::{Definition, Key};
use super::names;
use super::problems::Problems;
use super::range::Rule;
use super::section::Section;
use super::source::Source;
use super::values::{FromValue, describe};

/// The keys of one section.
pub(crate) struct SectionReader<'r, 'a> {
    pub(super) section: &'static Section,
    pub(super) table: Option<&'a Table>,
    pub(super) source: &'a Source,
    pub(super) problems: &'r mut Problems,
}

/// A value was refused, and the reason was added to the problems.
pub(crate) struct Refused;

impl SectionReader<'_, '_> {
    /// The value of `key`, or its default. A wrong value is reported.
    pub fn read<T: FromValue, D: Fallback<T>>(&mut self, key: &Key<T, D>) -> D::Read {
        self.read_as(key, &key.rule)
    }

    /// Like [`SectionReader::read`], with another rule than the key's own.
    pub fn read_as<T: FromValue, D: Fallback<T>>(&mut self, key: &Key<T, D>, rule: &Rule<T>) -> D::Read {
        if D::REQUIRED && !self.has(key.name) {
            self.miss(&[key.name], format!("missing key: [{}] needs `{}`", self.section.name, key.name));
        }
        key.default.settle(self.take(key.name, rule).unwrap_or(None))
    }

    /// The value of `key`, even if it has a default; `None` if it is not there or was refused.
    pub fn find<T: FromValue, D>(&mut self, key: &Key<T, D>) -> Option<T> {
        self.take(key.name, &key.rule).unwrap_or(None)
    }

    /// The value of `key`, if it is set, has the right type and satisfies `rule`.
    pub(super) fn take<T: FromValue>(&mut self, key: &str, rule: &Rule<T>) -> Result<Option<T>, Refused> {
        let Some(value) = self.table.and_then(|table| table.get(key)) else { return Ok(None) };
        let must_be = match T::from_value(value) {
            Ok(taken) if rule.holds(&taken) => return Ok(Some(taken)),
            Ok(_) => rule.must_be().unwrap_or_default(),
            Err(expected) => expected,
        };
        self.refuse(key, format!("{} must be {must_be}, found {}", self.path(key), describe(value)));
        Err(Refused)
    }

    /// Reports a problem unless exactly one of the keys that exclude each other is set.
    pub fn exactly_one(&mut self) {
        let keys = self.section.exactly_one;
        let said: Vec<&str> = keys.iter().copied().filter(|key| self.has(key)).collect();
        match said[..] {
            [_] => {}
            [] => {
                let keys_quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                let name = self.section.name;
                self.miss(keys, format!("missing key: [{name}] needs {}", keys_quoted.join(" or ")));
            }
            [one, other, ..] => self.refuse(
                other,
                format!("`{one}` and `{other}` of [{}] exclude each other; keep one", self.section.name),
            ),
        }
    }

    /// Refuses those of `keys` that do not belong to `kind`. `why` makes the message, from the path of the key and the
    /// kinds that it belongs to.
    pub fn refuse_foreign(
        &mut self,
        keys: &[&'static dyn Definition],
        kind: &str,
        why: impl Fn(&str, &[&str]) -> String,
    ) {
        let mut before = "";
        for key in keys.iter().map(|key| key.name()) {
            if key == before || !self.has(key) || self.section.definition(key, kind).is_some() {
                continue;
            }
            before = key;
            let owners = self.section.owners(key).unwrap_or_default();
            self.refuse(key, why(&self.path(key), &owners));
        }
    }

    /// Whether `key` was given, with a valid value or not.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Reports a problem with `key`.
    pub fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.problems.add(self.source.place(&self.path(key)), message);
    }

    fn miss(&mut self, keys: &[&str], message: String) {
        let paths = keys.iter().map(|key| self.path(key)).collect();
        self.problems.add_missing(self.source.place(self.section.name), paths, message);
    }

    fn path(&self, key: &str) -> String {
        names::path(self.section.name, key)
    }
}
