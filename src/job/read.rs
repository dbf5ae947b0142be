//! Reading sections key by key. A reader knows the keys by having been asked for them, so a key that exists is
//! written once, where it is read; whatever is left in the file afterwards is unknown.

use toml::{Table, Value};

use super::names::{self, Names};
use super::problems::Problems;
use super::source::{Place, Source};
use super::value::{FromValue, Rule, describe};
use ternflock_base::text::quote;

/// Reads the values of a job and collects what is wrong with them.
pub(super) struct Reader<'a> {
    table: &'a Table,
    source: &'a Source,
    problems: Problems,
    names: Names,
}

/// A value was refused, and a problem says why.
pub(super) struct Refused;

impl<'a> Reader<'a> {
    /// A reader of `table`, with the problems there already are; its top is said to be `top`.
    pub fn new(table: &'a Table, source: &'a Source, problems: Problems, top: &'static str) -> Self {
        Reader { table, source, problems, names: Names::new(top) }
    }

    /// The keys of no section.
    pub fn top(&mut self) -> Section<'_, 'a> {
        Section { name: "", table: Some(self.table), reader: self }
    }

    /// The section `[name]`; one that is not there reads as empty.
    pub fn section(&mut self, name: &'static str) -> Section<'_, 'a> {
        self.names.add_section(name);
        let table = self.table.get(name).and_then(Value::as_table);
        Section { name, table, reader: self }
    }

    /// The paths of all section keys that have been read.
    pub fn keys(&self) -> Vec<String> {
        self.names.paths()
    }

    /// Reports a problem with the value at `path` in a section that has been read.
    pub fn refuse(&mut self, path: &str, message: impl Into<String>) {
        self.problems.add(self.source.place(path), message);
    }

    /// Everything that is wrong, unknown sections and keys included.
    pub fn finish(mut self) -> Problems {
        for (name, value) in self.table {
            match value {
                Value::Table(keys) if self.names.is_section(name) => {
                    keys.keys().for_each(|key| self.expect_key(name, key));
                }
                // `[stage]` for `[[stage]]`, which is reported where stages are read.
                Value::Table(_) if self.names.is_key("", name) => {}
                Value::Table(keys) => self.unknown_section(name, keys),
                value if self.names.is_section(name) => {
                    let message = format!("{name} must be a section, [{name}], found {}", describe(value));
                    self.problems.add(self.source.place(name), message);
                    self.problems.explain_missing(Some(name));
                }
                _ => self.expect_key("", name),
            }
        }
        self.problems
    }

    fn unknown_section(&mut self, name: &str, keys: &Table) {
        // A section that only a `--set` made has no place of its own, but its key has.
        let place = match (self.source.place(name), keys.keys().next()) {
            (Place::File, Some(key)) => self.source.place(&names::path(name, key)),
            (place, _) => place,
        };
        let hint = self.names.section_hint(name);
        self.problems.add(place, format!("unknown section [{}]; {}", quote(name), hint.advice));
        self.problems.explain_missing(hint.meant.as_deref());
    }

    fn expect_key(&mut self, section: &str, key: &str) {
        if self.names.is_key(section, key) {
            return;
        }
        let hint = self.names.key_hint(section, key);
        let message = format!("unknown key `{}` {}; {}", quote(key), self.names.place(section), hint.advice);
        self.problems.add(self.source.place(&names::path(section, key)), message);
        self.problems.explain_missing(hint.meant.as_deref());
    }
}

/// The keys of one section.
pub(super) struct Section<'r, 'a> {
    name: &'static str,
    table: Option<&'a Table>,
    reader: &'r mut Reader<'a>,
}

impl Section<'_, '_> {
    /// The value of `key`, if it is there, of its type and within `rule`.
    pub fn take<T: FromValue>(&mut self, key: &'static str, rule: &Rule<T>) -> Result<Option<T>, Refused> {
        self.take_as(key, rule, T::from_value)
    }

    /// The same, of what `read` makes of the value, or says that it must be.
    pub fn take_as<T>(
        &mut self,
        key: &'static str,
        rule: &Rule<T>,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, Refused> {
        self.know(key);
        let Some(value) = self.table.and_then(|table| table.get(key)) else { return Ok(None) };
        let must_be = match read(value) {
            Ok(taken) if (rule.holds)(&taken) => return Ok(Some(taken)),
            Ok(_) => rule.must_be.to_owned(),
            Err(expected) => expected,
        };
        self.refuse(key, format!("{} must be {must_be}, found {}", self.path(key), describe(value)));
        Err(Refused)
    }

    /// The value of `key`; `None` if it is not there or was refused.
    pub fn optional<T: FromValue>(&mut self, key: &'static str, rule: &Rule<T>) -> Option<T> {
        self.take(key, rule).unwrap_or(None)
    }

    /// The value of `key`, by default `default`.
    pub fn or<T: FromValue>(&mut self, key: &'static str, default: T, rule: &Rule<T>) -> T {
        self.optional(key, rule).unwrap_or(default)
    }

    /// The value of `key`, which must be there. Where it is not, or was refused, the default of its type stands in
    /// for it: the job is refused in the end, and reading goes on to find what else is wrong.
    pub fn required<T: FromValue + Default>(&mut self, key: &'static str, rule: &Rule<T>) -> T {
        if !self.has(key) {
            self.miss(&[key], format!("missing key: [{}] needs `{key}`", self.name));
        }
        self.or(key, T::default(), rule)
    }

    /// Demands one of some keys that exclude each other.
    pub fn exactly_one(&mut self, keys: &[&'static str]) {
        let said: Vec<&str> = keys.iter().copied().filter(|key| self.has(key)).collect();
        match said[..] {
            [_] => {}
            [] => {
                let keys_quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                self.miss(keys, format!("missing key: [{}] needs {}", self.name, keys_quoted.join(" or ")));
            }
            [one, other, ..] => self.refuse(
                other,
                format!("`{one}` and `{other}` of [{}] exclude each other; keep one", self.name),
            ),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether `key` was given, well or badly.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// `key` is one of this section's keys, whether or not this job may hold it.
    pub fn know(&mut self, key: &'static str) {
        self.reader.names.add_key(self.name, key);
    }

    /// Reports a problem with `key`.
    pub fn refuse(&mut self, key: &str, message: impl Into<String>) {
        let place = self.reader.source.place(&self.path(key));
        self.reader.problems.add(place, message);
    }

    fn miss(&mut self, keys: &[&str], message: String) {
        let paths = keys.iter().map(|key| self.path(key)).collect();
        self.reader.problems.add_missing(self.reader.source.place(self.name), paths, message);
    }

    fn path(&self, key: &str) -> String {
        names::path(self.name, key)
    }
}
