//! Reading a job section by section. Keys and sections that nothing has read are unknown, and are reported.

use toml::{Table, Value};

use super::names::{self, Names};
use super::problems::Problems;
use super::section::Section;
use super::section_reader::SectionReader;
use super::source::{Place, Source};
use super::values::describe;
use ternflock_base::text::quote;

/// Reads the values of a job and collects what is wrong with them.
pub(crate) struct Reader<'a> {
    table: &'a Table,
    source: &'a Source,
    problems: Problems,
    names: Names,
}

/// The defaults of a section: what `read` returns if no key is set.
pub(crate) fn read_empty<T>(section: &'static Section, read: impl FnOnce(&mut SectionReader) -> T) -> T {
    let (table, source) = (Table::new(), Source::new(String::new()));
    let mut reader = Reader::new(&table, &source, Problems::default(), "");
    read(&mut reader.section(section))
}

impl<'a> Reader<'a> {
    /// A reader of `table`, with the problems found so far. Messages call the top level `top`.
    pub fn new(table: &'a Table, source: &'a Source, problems: Problems, top: &'static str) -> Self {
        Reader { table, source, problems, names: Names::new(top) }
    }

    /// The keys of `section`. A named section that is missing reads as empty.
    pub fn section(&mut self, section: &'static Section) -> SectionReader<'_, 'a> {
        let table = match section.name {
            "" => Some(self.table),
            name => {
                self.names.add_section(name);
                self.table.get(name).and_then(Value::as_table)
            }
        };
        section.definitions().for_each(|key| self.names.add_key(section.name, key.name()));
        SectionReader { section, table, source: self.source, problems: &mut self.problems }
    }

    /// Reports a problem with the value at `path` in a section that has been read.
    pub fn refuse(&mut self, path: &str, message: impl Into<String>) {
        self.problems.add(self.source.place(path), message);
    }

    /// All problems, including unknown sections and keys.
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
        // A section that only a `--set` created has no place, but its key has one.
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
