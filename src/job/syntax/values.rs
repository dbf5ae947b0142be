//! The types of values that a key may hold. Each describes what it expected if a value does not fit.

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use toml::{Table, Value};

use ternflock_base::text::quote;

/// A type that a key may hold.
pub(crate) trait FromValue: Sized {
    /// The value, or the words that follow "must be" in the message.
    fn from_value(value: &Value) -> Result<Self, String>;

    /// The name of the type in the reference.
    fn type_name() -> String;

    /// The type as a JSON Schema.
    fn schema() -> Json;

    /// The value as a number that can be in a range; `None` if it is not a number.
    fn number(&self) -> Option<f64> {
        None
    }
}

/// A value as a message shows it, with its type.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        Value::Array(entries) if entries.iter().any(Value::is_table) => "an array of tables".to_owned(),
        value => format!("the {} {}", value.type_str(), quote(&value.to_string())),
    }
}

/// Whether a value is the default of its type, so that it need not be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Adds the members of `more` to the JSON Schema `schema`, and to those inside it.
pub(super) fn merge(schema: &mut Json, more: Json) {
    match (schema, more) {
        (Json::Object(schema), Json::Object(more)) => {
            for (name, value) in more {
                merge(schema.entry(name).or_insert(Json::Null), value);
            }
        }
        (schema, more) => *schema = more,
    }
}

/// The value that was found, or the description of what was expected.
fn expect<T>(found: Option<T>, expected: &str) -> Result<T, String> {
    found.ok_or_else(|| expected.to_owned())
}

fn whole<T: TryFrom<i64>>(value: &Value) -> Result<T, String> {
    expect(value.as_integer().and_then(|number| number.try_into().ok()), "a whole number of at least 0")
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_bool(), "true or false")
    }

    fn type_name() -> String {
        "boolean".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_str().map(str::to_owned), "a string")
    }

    fn type_name() -> String {
        "string".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

impl FromValue for PathBuf {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_str().filter(|path| !path.is_empty()).map(PathBuf::from), "a path (a string)")
    }

    fn type_name() -> String {
        "path".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        whole(value)
    }

    fn type_name() -> String {
        "whole number".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 0 })
    }

    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }
}

impl FromValue for usize {
    fn from_value(value: &Value) -> Result<Self, String> {
        whole(value)
    }

    fn type_name() -> String {
        u64::type_name()
    }

    fn schema() -> Json {
        u64::schema()
    }

    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64)), "a number")
    }

    fn type_name() -> String {
        "number".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "number" })
    }

    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl FromValue for f32 {
    fn from_value(value: &Value) -> Result<Self, String> {
        let number = f64::from_value(value)? as f32;
        expect(Some(number).filter(|number| number.is_finite()), "a number within single precision")
    }

    fn type_name() -> String {
        f64::type_name()
    }

    fn schema() -> Json {
        f64::schema()
    }
}

impl FromValue for Table {
    fn from_value(value: &Value) -> Result<Self, String> {
        expect(value.as_table().cloned(), "a table")
    }

    fn type_name() -> String {
        "table".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "object" })
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

    fn type_name() -> String {
        format!("{}s", T::type_name())
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}
