//! What holds where a job does not have a key.

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

/// The key must be there. The default of its type stands in for it where it is not, or was refused: the job is refused in
/// the end, and reading goes on to find what else is wrong.
#[derive(Clone, Copy)]
pub(crate) struct Required;

/// The key must be there, and its section reports in its own words that it is not.
#[derive(Clone, Copy)]
pub(crate) struct Reported;

/// The key may be left out. The text says what that means; it may be empty.
#[derive(Clone, Copy)]
pub(crate) struct Absent(pub &'static str);

/// What holds where a job does not have a key.
pub(crate) trait Fallback<T> {
    /// What reading the key results in.
    type Read;
    /// Whether the reader reports a missing key.
    const REQUIRED: bool = false;

    /// The value that was found, or what holds without one.
    fn settle(&self, found: Option<T>) -> Self::Read;

    /// The default, for a reader of the reference.
    fn shown(&self) -> Default;
}

/// A default as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Default {
    /// There is none: the key must be there.
    Required,
    /// This value.
    Value(Value),
    /// No value; the text says what holds.
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
