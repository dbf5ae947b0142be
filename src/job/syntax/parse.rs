//! Parsing TOML into plain values and the place of each value.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::places::{At, Places};
use super::problems::{MOST_PROBLEMS, Problems};
use super::size;
use super::source::{Place, Source};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::quote;

/// The lines of a text.
pub(crate) struct Lines {
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

/// Parses the text of `file` into its values and their places. All syntax errors are reported together.
pub(crate) fn parse(file: String, text: &str) -> Result<(Table, Source)> {
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
    source.set_places(Places::table(None, values));
    problems.into_result(&source)?;
    Ok((table, source))
}

/// A walk over parsed TOML that converts it into plain values and records the place of each.
pub(super) struct Walk<'a> {
    /// The place of a byte offset in the parsed text.
    pub at: &'a dyn Fn(usize) -> At,
    /// The source of the places.
    pub source: &'a Source,
    /// Collects values that TOML allows but a job cannot hold; they are left out.
    pub problems: &'a mut Problems,
}

/// The path to a value.
pub(super) enum Path<'a> {
    /// The top level of the text.
    Top,
    /// The path in a `--set`.
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
