//! What a key accepts: the type, which says what it expected, and a rule on top of it.

use std::path::PathBuf;

use toml::{Table, Value};

use super::names::nearest;
use ternflock_base::text::quote;

/// A type that a key may hold.
pub(super) trait FromValue: Sized {
    /// The value, or what it must be: the words that follow "must be".
    fn from_value(value: &Value) -> Result<Self, String>;
}

/// What a value must be besides its type.
pub(super) struct Rule<T> {
    /// Whether it is.
    pub holds: fn(&T) -> bool,
    /// The words that follow "must be".
    pub must_be: &'static str,
}

impl<T> Rule<T> {
    /// A rule that every value keeps.
    pub const ANY: Self = Rule { holds: |_| true, must_be: "anything" };

    /// A rule by its test and its words.
    pub const fn new(must_be: &'static str, holds: fn(&T) -> bool) -> Self {
        Rule { holds, must_be }
    }
}

impl Rule<f64> {
    /// Above zero.
    pub const POSITIVE: Self = Rule::new("above 0", |&number| number > 0.0);
    /// Zero or above.
    pub const NOT_NEGATIVE: Self = Rule::new("at least 0", |&number| number >= 0.0);
}

impl Rule<u64> {
    /// One or more.
    pub const SOME: Self = Rule::new("at least 1", |&number| number >= 1);
}

impl Rule<usize> {
    /// One or more.
    pub const SOME: Self = Rule::new("at least 1", |&number| number >= 1);
}

/// The one of `choices` that `value` names.
pub(super) fn choose<T: Copy>(value: &Value, choices: &[(&str, T)]) -> Result<T, String> {
    let chosen = choices.iter().find(|(name, _)| value.as_str() == Some(name));
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    chosen.map(|&(_, choice)| choice).ok_or_else(|| one_of(&names, value.as_str()))
}

/// "one of" some names, quoted as in the file, and the name that `found` was probably meant to be.
pub(super) fn one_of(names: &[&str], found: Option<&str>) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let all = if let [only] = &quoted[..] { only.clone() } else { format!("one of {}", quoted.join(", ")) };
    match found.and_then(|found| nearest(found, names.iter().copied())) {
        Some(near) => format!("{all} (did you mean \"{near}\"?)"),
        None => all,
    }
}

/// A value as a message shows it, with its type.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        Value::Array(entries) if entries.iter().any(Value::is_table) => "an array of tables".to_owned(),
        value => format!("the {} {}", value.type_str(), quote(&value.to_string())),
    }
}

/// Converts by `get`, or says what was expected.
fn expect<T>(found: Option<T>, expected: &str) -> Result<T, String> {
    found.ok_or_else(|| expected.to_owned())
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_bool(), "true or false")
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_str().map(str::to_owned), "a string")
    }
}

impl FromValue for PathBuf {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_str().filter(|path| !path.is_empty()).map(PathBuf::from), "a path (a string)")
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_integer().and_then(|number| number.try_into().ok()), "a whole number of at least 0")
    }
}

impl FromValue for usize {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_integer().and_then(|number| number.try_into().ok()), "a whole number of at least 0")
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64)), "a number")
    }
}

impl FromValue for f32 {
    fn from_value(value: &Value) -> Result<Self, String> {
        let number = f64::from_value(value)? as f32;
        expect(Some(number).filter(|number| number.is_finite()), "a number within single precision")
    }
}

impl FromValue for Table {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_table().cloned(), "a table")
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: &Value) -> Result<Self, String> {
        let entries = value.as_array().ok_or("an array")?;
        entries
            .iter()
            .map(|entry| {
                T::from_value(entry).map_err(|expected| format!("an array with every entry {expected}"))
            })
            .collect()
    }
}
