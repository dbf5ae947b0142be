//! Types with a fixed list of values, which are words in a job file.

use serde_json::{Value as Json, json};
use toml::Value;

use super::values::FromValue;
use ternflock_base::suggest::nearest;

/// A type with a fixed list of values, which are words in a job file.
pub(crate) trait Choice: Copy + 'static {
    /// Each value and its word.
    const CHOICES: &'static [(&'static str, Self)];
}

/// Implements [`Choice`]: `choices! { Type: Variant = "word", ... }`. A variant without a word does not compile.
macro_rules! choices {
    ($type:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $crate::syntax::Choice for $type {
            const CHOICES: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
        }
        const _: fn($type) = |choice| match choice {
            $($type::$variant)|+ => {}
        };
    };
}
pub(crate) use choices;

/// The words of `C`.
pub(crate) fn words<C: Choice>() -> Vec<&'static str> {
    C::CHOICES.iter().map(|(word, _)| *word).collect()
}

/// The word of `choice`.
pub(crate) fn word<C: Choice + PartialEq>(choice: C) -> &'static str {
    let found = C::CHOICES.iter().find(|(_, other)| *other == choice);
    found.map_or("", |(word, _)| *word)
}

impl<C: Choice> FromValue for C {
    fn from_value(value: &Value) -> Result<Self, String> {
        let chosen = C::CHOICES.iter().find(|(word, _)| value.as_str() == Some(word));
        chosen.map(|&(_, choice)| choice).ok_or_else(|| one_of(&words::<C>(), value.as_str()))
    }

    fn type_name() -> String {
        let quoted: Vec<String> = words::<C>().iter().map(|word| format!("`\"{word}\"`")).collect();
        format!("one of {}", quoted.join(", "))
    }

    fn schema() -> Json {
        json!({ "enum": words::<C>() })
    }
}

/// "one of" some names, quoted as in the file, and the name that `found` was probably meant to be.
pub(crate) fn one_of(names: &[&str], found: Option<&str>) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let all = if let [only] = &quoted[..] { only.clone() } else { format!("one of {}", quoted.join(", ")) };
    match found.and_then(|found| nearest(found, names.iter().copied())) {
        Some(near) => format!("{all} (did you mean \"{near}\"?)"),
        None => all,
    }
}
