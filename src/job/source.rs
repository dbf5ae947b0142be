//! Where each value of a job was said: the line of the file, or the `--set` that overrode it.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::names;
use super::places::{At, Places};
use super::problems::{MOST_PROBLEMS, Problems};
use super::size;
use super::stage::SECTIONS;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::quote;

/// Remembers where each value of a job was said, for whoever finds fault with it later.
#[derive(Clone, Debug)]
pub struct Source {
    file: Arc<str>,
    /// The overrides as messages quote them.
    sets: Arc<Vec<String>>,
    /// How many of the overrides a run was started with. Later overrides may contradict these, as they may contradict the
    /// file.
    settled: usize,
    places: Arc<Places>,
    /// For a stage: the places of the job, for the sections that a stage may override.
    base: Option<Base>,
}

/// The places that a stage inherits from its job.
#[derive(Clone, Debug)]
struct Base {
    places: Arc<Places>,
    /// The section and the key of each value that is not inherited.
    without: Vec<(String, String)>,
}

/// A place to blame, in the order problems are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// A line of the file, from 1.
    Line(usize),
    /// A `--set`, by its index.
    Set(usize),
    /// An override that a run was started with.
    Started(usize),
    /// The file as a whole.
    File,
}

impl Source {
    /// A source that knows only its file's name.
    pub(super) fn new(file: String) -> Self {
        Source { file: file.into(), sets: Arc::default(), settled: 0, places: Arc::default(), base: None }
    }

    /// Where the value at `path` (such as `model.layers[2].filters`) was said: `file:line` or `--set section.key=value`.
    /// A value that was not said at all is placed where its section stands, else at the file as a whole.
    pub fn at(&self, path: &str) -> String {
        self.display(self.place(path))
    }

    /// [`Source::at`], before it is made text.
    pub(super) fn place(&self, path: &str) -> Place {
        let (own, inherited) = (self.places.find(path), self.inherited(path));
        let at = if inherited.0 > own.0 { inherited.1 } else { own.1 };
        at.map_or(Place::File, |at| self.place_at(at))
    }

    /// Like [`Places::find`], in the job of this stage.
    fn inherited(&self, path: &str) -> (usize, Option<At>) {
        let Some(base) = &self.base else { return (0, None) };
        let section = &path[..path.find(['.', '[']).unwrap_or(path.len())];
        if !SECTIONS.contains(&section) {
            return (0, None);
        }
        let is_without = base.without.iter().any(|(of, key)| {
            let key = (of == section).then(|| path[section.len()..].strip_prefix('.')?.strip_prefix(&**key));
            key.flatten().is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        base.places.find(if is_without { section } else { path })
    }

    fn place_at(&self, at: At) -> Place {
        match at {
            At::Line(line) => Place::Line(line as usize),
            At::Set(set) if (set as usize) < self.settled => Place::Started(set as usize),
            At::Set(set) => Place::Set(set as usize),
        }
    }

    /// The places of the job for stage `number`: those of the stage as if they were at the top level, and those of the
    /// sections that a stage may override.
    pub(super) fn of_stage(&self, number: usize) -> Source {
        let own = self.places.entry("stage", number).cloned().unwrap_or_default();
        let base = Base { places: Arc::clone(&self.places), without: Vec::new() };
        Source { places: Arc::new(own), base: Some(base), ..self.clone() }
    }

    /// Adds the override `set` and returns its place.
    pub(super) fn add_set(&mut self, set: &str) -> At {
        let number = self.sets.len();
        Arc::make_mut(&mut self.sets).push(quote(set).into_owned());
        At::Set(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Converts [`At`] to the place of a problem.
    pub(super) fn blame(&self, at: At) -> Place {
        self.place_at(at)
    }

    /// Whether the value at `key` of `section`, in `stage` or in the job itself, was given by a `--set`.
    pub(super) fn is_set(&self, stage: Option<usize>, section: &str, key: &str) -> bool {
        let places = match stage {
            None => Some(&*self.places),
            Some(number) => self.places.entry("stage", number),
        };
        let path = names::path(section, key);
        let found = places.map(|places| places.find(&path));
        found.is_some_and(|(length, at)| {
            length == path.len() && matches!(at, Some(At::Set(set)) if set as usize >= self.settled)
        })
    }

    /// Replaces the places of `key` of `section`, in `stage` or in the job itself, with `new`, or removes them.
    pub(super) fn replace(&mut self, stage: Option<usize>, section: &str, key: &str, new: Option<Places>) {
        let places = Arc::make_mut(&mut self.places);
        let places = match stage {
            None => Some(places),
            Some(number) => places.entry_mut("stage", number),
        };
        if let Some(places) = places {
            places.replace(section, key, new);
        }
    }

    /// This stage does not inherit the value at `key` of `section` from its job.
    pub(super) fn leave_out(&mut self, section: &str, key: &str) {
        if let Some(base) = &mut self.base {
            base.without.push((section.to_owned(), key.to_owned()));
        }
    }

    /// Marks every `--set` so far as one that a run was started with.
    pub(super) fn settle_sets(&mut self) {
        self.settled = self.sets.len();
    }

    /// A place as text.
    pub(super) fn display(&self, place: Place) -> String {
        let set = |number: usize| self.sets.get(number).map_or("", String::as_str);
        match place {
            Place::Line(line) => format!("{}:{line}", self.file),
            Place::Set(number) => format!("--set {}", set(number)),
            Place::Started(number) => format!("--set {}, which the run was started with", set(number)),
            Place::File => self.file.to_string(),
        }
    }
}

/// The lines of a text.
pub(super) struct Lines {
    /// The offset of the end of each line.
    ends: Vec<usize>,
}

impl Lines {
    /// The lines of `text`.
    pub fn of(text: &[u8]) -> Self {
        let ends = text.iter().enumerate().filter(|&(_, &byte)| byte == b'\n');
        Lines { ends: ends.map(|(end, _)| end).collect() }
    }

    /// The line of the byte at `offset`, starting at 1.
    pub fn line(&self, offset: usize) -> usize {
        1 + self.ends.partition_point(|&end| end < offset)
    }
}

/// Parses the text of `file` into its values and where each was said. All syntax errors are reported together.
pub(super) fn parse(file: String, text: &str) -> Result<(Table, Source)> {
    if let Err(message) = size::check(text) {
        return Err(Error::Job { at: file, message: format!("the job file {message}") });
    }
    let mut source = Source::new(file);
    let mut problems = Problems::default();
    let lines = Lines::of(text.as_bytes());
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors.into_iter().take(MOST_PROBLEMS + 1) {
        let span = error.span().unwrap_or_default();
        let culprit = text.get(span.clone()).and_then(|culprit| culprit.lines().next()).unwrap_or_default();
        let culprit = if culprit.is_empty() { String::new() } else { format!(" (`{}`)", quote(culprit)) };
        let message = format!("not valid TOML: {}{culprit}", error.message());
        problems.add(Place::Line(lines.line(span.start)), message);
    }
    let line = |offset| At::Line(u32::try_from(lines.line(offset)).unwrap_or(u32::MAX));
    let mut walk = Walk { at: &line, source: &source, problems: &mut problems };
    let (table, values) = walk.table(document.into_inner(), &Path::Top);
    source.places = Arc::new(Places::table(None, values));
    problems.into_result(&source)?;
    Ok((table, source))
}

/// A walk over parsed TOML that turns it into plain values and notes where each of them was said.
pub(super) struct Walk<'a> {
    /// The place of a byte offset in the parsed text.
    pub at: &'a dyn Fn(usize) -> At,
    /// The source of the places.
    pub source: &'a Source,
    /// Learns of values that TOML can say and a job cannot hold; they are left out.
    pub problems: &'a mut Problems,
}

/// The path to a value.
pub(super) enum Path<'a> {
    /// The top level of the text.
    Top,
    /// The value of a `--set`.
    Said(&'a str),
    /// A key of the table at a path.
    Key(&'a Path<'a>, &'a str),
    /// An entry of the array at a path.
    Entry(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn text(&self) -> String {
        match self {
            Path::Top => String::new(),
            Path::Said(path) => quote(path).into_owned(),
            Path::Key(Path::Top, key) => quote(key).into_owned(),
            Path::Key(path, key) => format!("{}.{}", path.text(), quote(key)),
            Path::Entry(path, number) => format!("{}[{number}]", path.text()),
        }
    }
}

impl Walk<'_> {
    fn table(&mut self, table: DeTable, path: &Path) -> (Table, BTreeMap<Box<str>, Places>) {
        let (mut values, mut places) = (Table::new(), BTreeMap::new());
        for (key, value) in table {
            let (offset, name) = (key.span().start, key.into_inner().into_owned());
            let (value, place) = self.value(value.into_inner(), offset, &Path::Key(path, &name));
            places.insert(name.as_str().into(), place);
            if let Some(value) = value {
                values.insert(name, value);
            }
        }
        (values, places)
    }

    /// The value at `path`, which starts at byte `offset` of the text, and its places.
    pub fn value(&mut self, value: DeValue, offset: usize, path: &Path) -> (Option<Value>, Places) {
        let at = (self.at)(offset);
        match value {
            DeValue::Table(table) => {
                let (table, places) = self.table(table, path);
                (Some(Value::Table(table)), Places::table(Some(at), places))
            }
            DeValue::Array(array) => {
                let (mut values, mut places) =
                    (Vec::with_capacity(array.len()), Vec::with_capacity(array.len()));
                for (number, entry) in array.into_iter().enumerate() {
                    let offset = entry.span().start;
                    let (value, place) = self.value(entry.into_inner(), offset, &Path::Entry(path, number));
                    values.extend(value);
                    places.push(place);
                }
                (Some(Value::Array(values)), Places::array(at, places))
            }
            scalar => match convert(&scalar) {
                Ok(value) => (Some(value), Places::scalar(at)),
                Err(message) => {
                    self.problems.add(self.source.blame(at), format!("{} {message}", path.text()));
                    (None, Places::scalar(at))
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
            Err(_) => Err(format!(
                "must lie between {} and {}, found {}",
                i64::MIN,
                i64::MAX,
                quote(&integer.to_string())
            )),
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(format!("must be a finite number, found {}", quote(&float.to_string()))),
        },
        DeValue::Boolean(truth) => Ok(Value::Boolean(*truth)),
        DeValue::Datetime(datetime) => Ok(Value::Datetime(*datetime)),
        DeValue::String(string) => Ok(Value::String(string.to_string())),
        DeValue::Array(_) | DeValue::Table(_) => Err("must be a scalar".to_owned()),
    }
}
