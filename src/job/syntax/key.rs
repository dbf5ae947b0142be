//! The definition of a key. One definition feeds the reader, its error messages, the reference and the schema.

use serde_json::Value as Json;

use super::default::{Default, Fallback, Given};
use super::range::{Range, Rule};
use super::values::{FromValue, merge};

/// A key of a section. `D` determines the value if a job does not set the key: [`Given`], [`Required`],
/// [`Reported`] or [`Absent`].
pub(crate) struct Key<T: 'static, D = Given<T>> {
    /// Its name in the job file.
    pub name: &'static str,
    /// The kinds of its section that it belongs to.
    pub of: Of,
    /// The rule for values beyond their type.
    pub rule: Rule<T>,
    /// The behaviour without it.
    pub default: D,
    /// Its meaning in Markdown, for the reference and for editors.
    pub meaning: &'static str,
    /// The source of the default; empty: none in particular.
    pub origin: &'static str,
}

impl<T: 'static, D: Copy> Key<T, D> {
    /// A key of every kind that accepts every value of its type.
    pub const fn new(name: &'static str, default: D, meaning: &'static str) -> Self {
        Key { name, of: Of::EVERY, rule: Rule::Any, default, meaning, origin: "" }
    }

    /// The same key for some kinds only.
    pub const fn of(mut self, of: Of) -> Self {
        self.of = of;
        self
    }

    /// The same key for numbers in `range` only.
    pub const fn within(mut self, range: Range) -> Self {
        self.rule = Rule::Within(range);
        self
    }

    /// The same key for values that satisfy `rule`.
    pub const fn such(mut self, rule: Rule<T>) -> Self {
        self.rule = rule;
        self
    }

    /// The same key, whose default comes from `origin`.
    pub const fn origin(mut self, origin: &'static str) -> Self {
        self.origin = origin;
        self
    }
}

/// The kinds of a section that a key belongs to. The kind of `[data]` is the dataset.
#[derive(Clone, Copy)]
pub(crate) struct Of {
    /// Their names; empty: every kind.
    pub kinds: &'static [&'static str],
    /// Their common name; empty: they are listed.
    pub called: &'static str,
    /// Whether a kind that is not in `kinds` is one of them, such as a dataset that a program registers.
    pub also: fn(&str) -> bool,
}

impl Of {
    /// Every kind.
    pub const EVERY: Of = Of::kinds(&[]);

    /// Only `kinds`.
    pub const fn kinds(kinds: &'static [&'static str]) -> Self {
        Of { kinds, called: "", also: |_| false }
    }

    /// Whether `kind` is one of them.
    pub fn includes(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind) || (self.also)(kind)
    }
}

/// A key of any type.
pub(crate) trait Definition: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// The kinds that it belongs to.
    fn of(&self) -> Of;
    /// The values that it accepts, as in the reference.
    fn accepts(&self) -> String;
    /// The values that it accepts, as a JSON Schema.
    fn schema(&self) -> Json;
    /// The behaviour without it.
    fn default(&self) -> Default;
    /// Its meaning.
    fn meaning(&self) -> &'static str;
    /// The source of the default.
    fn origin(&self) -> &'static str;
}

impl<T: FromValue, D: Fallback<T> + Sync> Definition for Key<T, D> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn of(&self) -> Of {
        self.of
    }

    fn accepts(&self) -> String {
        let (of_type, rule) = (T::type_name(), self.rule.must_be());
        match rule {
            None => of_type,
            Some(rule) if rule.contains(&of_type) => rule.strip_prefix("a ").unwrap_or(&rule).to_owned(),
            Some(rule) => format!("{of_type}, {rule}"),
        }
    }

    fn schema(&self) -> Json {
        let mut schema = T::schema();
        merge(&mut schema, self.rule.schema());
        schema
    }

    fn default(&self) -> Default {
        self.default.shown()
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }

    fn origin(&self) -> &'static str {
        self.origin
    }
}
