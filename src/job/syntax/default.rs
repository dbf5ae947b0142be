//! The value of a key that a job does not set.

use serde::Serialize;
use toml::Value;

/// A default value.
pub(crate) struct Given<T>(pub fn() -> T);

impl<T> Clone for Given<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Given<T> {}

/// The key is required. If it is missing or was refused, the default of its type is used, so that reading can
/// continue and report further problems; the job is refused at the end.
#[derive(Clone, Copy)]
pub(crate) struct Required;

/// The key is required, and its section reports a missing key with its own message.
#[derive(Clone, Copy)]
pub(crate) struct Reported;

/// The key may be omitted. The text, which may be empty, describes what that means.
#[derive(Clone, Copy)]
pub(crate) struct Absent(pub &'static str);

/// The value of a key that a job does not set.
pub(crate) trait Fallback<T> {
    /// The result of reading the key.
    type Read;
    /// Whether the reader reports a missing key.
    const REQUIRED: bool = false;

    /// The value that was found, or the default.
    fn settle(&self, found: Option<T>) -> Self::Read;

    /// The default, for a reader of the reference.
    fn shown(&self) -> Default;
}

/// A default, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Default {
    /// None: the key is required.
    Required,
    /// This value.
    Value(Value),
    /// No value; the text describes what applies.
    Absent(&'static str),
}

impl<T: Serialize> Fallback<T> for Given<T> {
    type Read = T;

    fn settle(&self, found: Option<T>) -> T {
        found.unwrap_or_else(self.0)
    }

    fn shown(&self) -> Default {
        Default::Value(Value::try_from((self.0)()).expect("a default can be written in a job file"))
    }
}

impl<T: std::default::Default> Fallback<T> for Required {
    type Read = T;
    const REQUIRED: bool = true;

    fn settle(&self, found: Option<T>) -> T {
        found.unwrap_or_default()
    }

    fn shown(&self) -> Default {
        Default::Required
    }
}

impl<T> Fallback<T> for Reported {
    type Read = Option<T>;

    fn settle(&self, found: Option<T>) -> Option<T> {
        found
    }

    fn shown(&self) -> Default {
        Default::Required
    }
}

impl<T> Fallback<T> for Absent {
    type Read = Option<T>;

    fn settle(&self, found: Option<T>) -> Option<T> {
        found
    }

    fn shown(&self) -> Default {
        Default::Absent(self.0)
    }
}
