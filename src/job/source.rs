//! Where each value of a job was said: the line of the file, or the `--set` that overrode it.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::problems::Problems;
use super::stage::SECTIONS;
use crate::error::Result;

/// Remembers where each value of a job was said, for whoever finds fault with it later.
#[derive(Clone, Debug)]
pub struct Source {
    file: String,
    places: BTreeMap<String, Place>,
}

/// A place to blame, in the order problems are reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// A line of the file, from 1.
    Line(usize),
    /// A `--set`: which of them, and as it was given, `section.key=value`.
    Set(usize, String),
    /// An override that a run was started with.
    Started(usize, String),
    /// The file as a whole.
    File,
}

impl Source {
    /// A source that knows only its file's name.
    pub(super) fn new(file: String) -> Self {
        Source { file, places: BTreeMap::new() }
    }

    /// Where the value at `path` (such as `model.layers[2].filters`) was said: `file:line` or `--set section.key=value`.
    /// A value that was not said at all is placed where its section stands, else at the file as a whole.
    pub fn at(&self, path: &str) -> String {
        self.display(&self.place(path))
    }

    /// [`Source::at`], before it is made text.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return place.clone();
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                // A stage stands at its own place.
                None => return self.places.get("").cloned().unwrap_or(Place::File),
            }
        }
    }

    /// The places of the job as stage `number` has it: its own, as if they were at the top, over those of the sections that a
    /// stage may say.
    pub(super) fn of_stage(&self, number: usize) -> Source {
        let own = format!("stage[{number}]");
        let of_section =
            |path: &str| path.split(['.', '[']).next().is_some_and(|name| SECTIONS.contains(&name));
        let base = self.places.iter().filter(|(path, _)| of_section(path));
        let mut places: BTreeMap<String, Place> =
            base.map(|(path, place)| (path.clone(), place.clone())).collect();
        for (path, place) in &self.places {
            if let Some(rest) = path.strip_prefix(&own) {
                places.insert(rest.trim_start_matches('.').to_owned(), place.clone());
            }
        }
        Source { file: self.file.clone(), places }
    }

    /// Whether the value at `path` itself was said by a `--set`.
    pub(super) fn is_set(&self, path: &str) -> bool {
        matches!(self.places.get(path), Some(Place::Set(..)))
    }

    /// The value at `path` is now the one said at `place`, or none.
    pub(super) fn replace(&mut self, path: &str, place: Option<Place>) {
        let inside = |other: &str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']));
        self.places.retain(|other, _| other != path && !inside(other));
        if let Some(place) = place {
            self.places.insert(path.to_owned(), place);
        }
    }

    /// Marks every `--set` so far as one that a run was started with. Like the file, it may be contradicted by a later
    /// one.
    pub(super) fn settle_sets(&mut self) {
        for place in self.places.values_mut() {
            if let Place::Set(order, set) = place {
                *place = Place::Started(*order, std::mem::take(set));
            }
        }
    }

    /// A place as text.
    pub(super) fn display(&self, place: &Place) -> String {
        match place {
            Place::Line(line) => format!("{}:{line}", self.file),
            Place::Set(_, set) => format!("--set {set}"),
            Place::Started(_, set) => format!("--set {set}, which the run was started with"),
            Place::File => self.file.clone(),
        }
    }
}

/// The line of byte `offset` in `text`, from 1.
pub(super) fn line_of(text: &[u8], offset: usize) -> usize {
    1 + text[..offset.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}

/// Parses the text of `file` into its values and where each was said. All syntax errors are reported together.
pub(super) fn parse(file: String, text: &str) -> Result<(Table, Source)> {
    let mut source = Source::new(file);
    let mut problems = Problems::default();
    let line = |offset| Place::Line(line_of(text.as_bytes(), offset));
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or_default();
        let culprit = text.get(span.clone()).and_then(|culprit| culprit.lines().next()).unwrap_or_default();
        let culprit = if culprit.is_empty() { String::new() } else { format!(" (`{culprit}`)") };
        problems.add(line(span.start), format!("not valid TOML: {}{culprit}", error.message()));
    }
    let mut walk = Walk { place: &line, source: &mut source, problems: &mut problems };
    let table = walk.table(document.get_ref(), "");
    problems.into_result(&source)?;
    Ok((table, source))
}

/// A walk over parsed TOML that turns it into plain values and notes where each of them was said.
pub(super) struct Walk<'a> {
    /// The place of a byte offset in the parsed text.
    pub place: &'a dyn Fn(usize) -> Place,
    /// Learns the places.
    pub source: &'a mut Source,
    /// Learns of values that TOML can say and a job cannot hold; they are left out.
    pub problems: &'a mut Problems,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable, path: &str) -> Table {
        let mut values = Table::new();
        for (key, value) in table {
            let name = key.get_ref().to_string();
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if let Some(value) = self.value(value.get_ref(), key.span().start, &path) {
                values.insert(name, value);
            }
        }
        values
    }

    /// The value said at `path`, `offset` bytes into the text.
    pub fn value(&mut self, value: &DeValue, offset: usize, path: &str) -> Option<Value> {
        let place = (self.place)(offset);
        self.source.places.insert(path.to_owned(), place.clone());
        match value {
            DeValue::Table(table) => Some(Value::Table(self.table(table, path))),
            DeValue::Array(array) => {
                let entries = array.iter().enumerate();
                let entries = entries.filter_map(|(i, entry)| {
                    self.value(entry.get_ref(), entry.span().start, &format!("{path}[{i}]"))
                });
                Some(Value::Array(entries.collect()))
            }
            scalar => match convert(scalar) {
                Ok(value) => Some(value),
                Err(message) => {
                    self.problems.add(place, format!("{path} {message}"));
                    None
                }
            },
        }
    }
}

/// A scalar as a plain value. The limits are those of a 64-bit integer and of a finite double.
fn convert(scalar: &DeValue) -> std::result::Result<Value, String> {
    match scalar {
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Ok(Value::Integer(number)),
            Err(_) => Err(format!("must lie between {} and {}, found {integer}", i64::MIN, i64::MAX)),
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(format!("must be a finite number, found {float}")),
        },
        DeValue::Boolean(truth) => Ok(Value::Boolean(*truth)),
        DeValue::Datetime(datetime) => Ok(Value::Datetime(*datetime)),
        DeValue::String(string) => Ok(Value::String(string.to_string())),
        DeValue::Array(_) | DeValue::Table(_) => Err("must be a scalar".to_owned()),
    }
}
