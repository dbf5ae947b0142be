//! The JSON Schema of one section.

use serde_json::{Map, Value as Json, json};

use crate::reference::Row;
use crate::syntax::{Default, Section, Selector};

/// The place of a section.
#[derive(Clone, Copy)]
pub(super) enum Within {
    /// In the job itself. Stages may override it if it `is_inherited`.
    Job { is_inherited: bool },
    /// In a stage. It may omit everything that the job sets.
    Stage,
}

/// The schema of `section`.
pub(super) fn section_schema(section: &Section, within: Within) -> Json {
    let mut properties: Map<String, Json> =
        section.names().into_iter().map(|key| (key.to_owned(), key_schema(section, key))).collect();
    if matches!(within, Within::Stage) {
        // After surgery there may be 0 steps.
        for key in section.exactly_one {
            properties[*key]["minimum"] = json!(0);
        }
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("description".to_owned(), json!(section.about));
    schema.insert("properties".to_owned(), Json::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    if let Within::Job { is_inherited } = within {
        let required = required_keys(section);
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        if !is_inherited && !section.exactly_one.is_empty() {
            schema.insert("oneOf".to_owned(), one_of_required(section.exactly_one));
        }
    }
    if let Some(selector) = &section.selector {
        let kinds = (selector.kinds)().into_iter().map(|kind| of_kind(section, selector, kind, within));
        schema.insert("allOf".to_owned(), kinds.collect());
    }
    Json::Object(schema)
}

/// The schema of `key`, which all its definitions fit.
pub(super) fn key_schema(section: &Section, key: &str) -> Json {
    let mut schema = Map::new();
    schema.insert("description".to_owned(), json!(description(section, key)));
    let definitions: Vec<_> = section.definitions_of(key).collect();
    if let [only] = definitions[..] {
        if let Default::Value(default) = only.default() {
            schema.insert("default".to_owned(), json!(default));
        }
        schema.extend(only.schema().as_object().cloned().unwrap_or_default());
    } else {
        let mut different: Vec<Json> = Vec::new();
        for definition in definitions.iter().map(|definition| definition.schema()) {
            if !different.contains(&definition) {
                different.push(definition);
            }
        }
        schema.insert("anyOf".to_owned(), Json::Array(different));
    }
    Json::Object(schema)
}

/// The description of `key` in editors.
fn description(section: &Section, key: &str) -> String {
    let Some(row) = Row::of(section, key) else { return String::new() };
    let default = if row.default.is_empty() { String::new() } else { format!(" Default: {}.", row.default) };
    let origin = if row.origin.is_empty() { String::new() } else { format!(" (from: {})", row.origin) };
    without_links(&format!("{}\n\nType: {}.{default}{origin}", row.meaning, row.accepts))
}

/// The keys that a section of this kind has, and those that it does not have.
fn of_kind(section: &Section, selector: &Selector, kind: &str, within: Within) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in section.names() {
        let Some(definition) = section.definition(key, kind) else {
            properties.insert(key.to_owned(), json!(false));
            continue;
        };
        if section.definitions_of(key).count() > 1 {
            properties.insert(key.to_owned(), definition.schema());
        }
        if !definition.of().kinds.is_empty() && definition.default() == Default::Required {
            required.push(key);
        }
    }
    let mut then = json!({ "properties": properties });
    if !required.is_empty() && matches!(within, Within::Job { .. }) {
        then["required"] = json!(required);
    }
    let selecting = selector.key.name();
    let mut condition = json!({ "properties": { selecting: { "const": kind } } });
    // A section without a kind has the default one, but in a stage it has that of the job.
    if matches!(within, Within::Stage) || selector.default().as_deref() != Some(kind) {
        condition["required"] = json!([selecting]);
    }
    json!({ "if": condition, "then": then })
}

/// The keys that `section` must have for every kind.
pub(super) fn required_keys(section: &Section) -> Vec<&'static str> {
    let keys = section.definitions().filter(|definition| definition.of().kinds.is_empty());
    keys.filter(|key| key.default() == Default::Required).map(|key| key.name()).collect()
}

/// Requires exactly one of the keys of `section` that exclude each other, within its own bounds.
pub(super) fn exactly_one(section: &Section) -> Json {
    let bounds = section.exactly_one.iter().filter_map(|key| {
        let definition = section.definitions_of(key).next()?;
        Some(((*key).to_owned(), definition.schema()))
    });
    json!({ "oneOf": one_of_required(section.exactly_one), "properties": bounds.collect::<Map<_, _>>() })
}

fn one_of_required(keys: &[&str]) -> Json {
    keys.iter().map(|key| json!({ "required": [key] })).collect()
}

/// Markdown in which links are replaced by their text, because they would not work in an editor.
fn without_links(text: &str) -> String {
    let mut parts = text.split("](");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (target, rest) = part.split_once(')').unwrap_or(("", part));
        if let Some(open) = plain.rfind('[').filter(|_| !target.is_empty()) {
            plain.remove(open);
        }
        plain += rest;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::without_links;

    #[test]
    fn links_become_their_words() {
        for (text, plain) in [
            ("see [below](#idx-files).", "see below."),
            ("x [a b](c.md#d) y [e](f)", "x a b y e"),
            ("[1, 2] and *w*[3]", "[1, 2] and *w*[3]"),
        ] {
            assert_eq!(without_links(text), plain);
        }
    }
}
