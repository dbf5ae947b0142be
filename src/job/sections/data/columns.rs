//! Lists that may have a single entry, and the columns of a table.

use std::ops::Deref;

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use toml::Value;

use crate::syntax::FromValue;

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMore<T>(pub Vec<T>);

impl<T> OneOrMore<T> {
    /// Whether the key was not set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        OneOrMore(Vec::new())
    }
}

impl<T> Deref for OneOrMore<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Serialize> Serialize for OneOrMore<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [only] => only.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

impl<T: FromValue> FromValue for OneOrMore<T> {
    fn from_value(value: &Value) -> Result<Self, String> {
        let all = match value {
            Value::Array(entries) => entries.iter().map(T::from_value).collect(),
            only => T::from_value(only).map(|only| vec![only]),
        };
        match all {
            Ok(all) if !all.is_empty() => Ok(OneOrMore(all)),
            Ok(_) => Err(format!("a {0} or a list of {0}s with at least one entry", T::type_name())),
            Err(expected) => Err(format!("{expected}, or a list with every entry {expected}")),
        }
    }

    fn type_name() -> String {
        format!("{0} or {0}s", T::type_name())
    }

    fn schema() -> Json {
        json!({ "anyOf": [T::schema(), { "type": "array", "minItems": 1, "items": T::schema() }] })
    }
}

/// Columns of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// All that have no other purpose.
    All,
    /// These.
    Named(Vec<String>),
}

const ALL: &str = "all";

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Columns::All => ALL.serialize(serializer),
            Columns::Named(names) => names.serialize(serializer),
        }
    }
}

impl FromValue for Columns {
    fn from_value(value: &Value) -> Result<Self, String> {
        if value.as_str() == Some(ALL) {
            return Ok(Columns::All);
        }
        let names = Vec::from_value(value).ok().filter(|names: &Vec<String>| !names.is_empty());
        names.map(Columns::Named).ok_or_else(|| format!("\"{ALL}\" or a list of names of columns"))
    }

    fn type_name() -> String {
        format!("`\"{ALL}\"` or strings")
    }

    fn schema() -> Json {
        let names = json!({ "type": "array", "minItems": 1, "items": { "type": "string" } });
        json!({ "anyOf": [{ "const": ALL }, names] })
    }
}
