//! Descriptions of keys for readers: in the tables of `docs/job-file.md` and in editors.

use toml::Value;

use crate::syntax::{Default, Definition, Section};

/// A key as the reference describes it, in Markdown.
pub(crate) struct Row {
    /// The values that it accepts.
    pub accepts: String,
    /// Its default, or what applies without it.
    pub default: String,
    /// Its meaning.
    pub meaning: String,
    /// The source of the default; empty: none in particular.
    pub origin: &'static str,
}

impl Row {
    /// The row of `key` of `section`; `None` if there is no such key. The type and the default are those of
    /// its first definition, with the differences of the others.
    pub fn of(section: &Section, key: &str) -> Option<Row> {
        let first = section.definitions_of(key).next()?;
        let mut accepts = first.accepts();
        for other in section.definitions_of(key).skip(1).filter(|other| other.accepts() != first.accepts()) {
            accepts += &format!("; for {}: {}", quoted(other.of().kinds), other.accepts());
        }
        let default = match first.default() {
            Default::Required if first.of().kinds.is_empty() => "**required**".to_owned(),
            Default::Required => format!("**required** by {}", quoted(first.of().kinds)),
            Default::Value(value) => shown(&value),
            Default::Absent(words) => words.to_owned(),
        };
        Some(Row { accepts, default, meaning: meaning(section, key), origin: first.origin() })
    }
}

/// The meaning of `key` of `section`: once for all definitions with the same text, and the defaults that
/// differ from that of the first definition.
fn meaning(section: &Section, key: &str) -> String {
    let definitions: Vec<_> = section.definitions_of(key).collect();
    let mut sentences: Vec<String> = Vec::new();
    let mut said: Vec<&str> = Vec::new();
    for definition in &definitions {
        let meaning = definition.meaning();
        if !said.contains(&meaning) {
            said.push(meaning);
            let same: Vec<_> =
                definitions.iter().copied().filter(|other| other.meaning() == meaning).collect();
            sentences.push(format!("{}{meaning}", belongs_to(section, &same)));
        }
    }
    for definition in definitions.iter().skip(1) {
        let kinds = quoted(definition.of().kinds);
        match definition.default() {
            default if default == definitions[0].default() => {}
            Default::Required => sentences.push(format!("Required by {kinds}.")),
            Default::Value(value) => sentences.push(format!("For {kinds} the default is {}.", shown(&value))),
            Default::Absent(words) => sentences.push(format!("For {kinds} the default is: {words}.")),
        }
    }
    sentences.join(" ")
}

/// The kinds that `definitions` belong to, as the beginning of a sentence; empty: every kind.
fn belongs_to(section: &Section, definitions: &[&'static dyn Definition]) -> String {
    if definitions.iter().any(|definition| definition.of().kinds.is_empty()) {
        return String::new();
    }
    let called = definitions[0].of().called;
    if !called.is_empty() && definitions.iter().all(|definition| definition.of().called == called) {
        return format!("For {called}: ");
    }
    let all = section.selector.as_ref().map_or_else(Vec::new, |selector| (selector.kinds)());
    let kinds = all.into_iter().filter(|kind| definitions.iter().any(|one| one.of().includes(kind)));
    format!("For {}: ", quoted(&kinds.collect::<Vec<_>>()))
}

/// Some kinds as the job file names them.
fn quoted(kinds: &[&str]) -> String {
    kinds.iter().map(|kind| format!("`\"{kind}\"`")).collect::<Vec<_>>().join(", ")
}

/// A default, formatted as in a job file.
fn shown(value: &Value) -> String {
    match value {
        // Small numbers with an exponent.
        Value::Float(number) => format!("`{number:?}`"),
        value => format!("`{value}`"),
    }
}
