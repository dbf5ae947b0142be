//! The JSON Schema of job files, for editors. It is generated from the definitions of the keys and sections.
//! Most other rules about several keys are left to the reader of job files.

mod section;

use serde_json::{Map, Value as Json, json};

use crate::sections::{IN_STAGE, INHERITED, SECTIONS, STAGE, TOP};
use crate::syntax::{MOST_STAGES, Section};
use section::{Within, key_schema, required_keys, section_schema};

/// The JSON Schema (draft 7) of job files. It describes files that are complete without `--set`.
pub fn schema() -> Json {
    let sections = SECTIONS.iter().map(|section| {
        let is_inherited = INHERITED.contains(&section.name);
        (section.name.to_owned(), section_schema(section, Within::Job { is_inherited }))
    });
    let mut properties = keys(&TOP);
    properties.extend(sections);
    if let Some(Json::Object(stages)) = properties.get_mut("stage") {
        stages.extend([
            ("minItems".to_owned(), json!(1)),
            ("maxItems".to_owned(), json!(MOST_STAGES)),
            ("items".to_owned(), stage()),
        ]);
    }
    let needs_keys = |section: &&&Section| {
        let is_inherited = INHERITED.contains(&section.name);
        !required_keys(section).is_empty() || !is_inherited && !section.exactly_one.is_empty()
    };
    let required: Vec<&str> = SECTIONS.iter().filter(needs_keys).map(|section| section.name).collect();
    let with_length = with_length();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Ternflock job file",
        "description": "What to train, on what, and how.",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "if": { "required": ["stage"] },
        "then": { "properties": each(&with_length, without_keys) },
        "else": exactly_one_in(&with_length),
    })
}

/// The schema of an entry of `[[stage]]`.
fn stage() -> Json {
    let of_stage = IN_STAGE.iter().map(|&section| (section, section_schema(section, Within::Stage)));
    let inherited = SECTIONS.iter().filter(|section| INHERITED.contains(&section.name));
    let inherited = inherited.map(|&section| (section, section_schema(section, Within::Stage)));
    let mut properties = keys(&STAGE);
    properties.extend(of_stage.chain(inherited).map(|(section, schema)| (section.name.to_owned(), schema)));
    let with_length = with_length();
    let surgery: Vec<Json> = IN_STAGE.iter().map(|section| json!({ "required": [section.name] })).collect();
    json!({
        "type": "object",
        "description": STAGE.about,
        "properties": properties,
        "required": required_keys(&STAGE),
        "additionalProperties": false,
        // A stage with surgery may have no steps.
        "if": { "anyOf": surgery },
        "then": { "properties": each(&with_length, at_most_one) },
        "else": exactly_one_in(&with_length),
    })
}

/// The sections whose length each stage sets for itself: `[train]`.
fn with_length() -> Vec<&'static Section> {
    let inherited = SECTIONS.into_iter().filter(|section| INHERITED.contains(&section.name));
    inherited.filter(|section| !section.exactly_one.is_empty()).collect()
}

/// The keys of `section`, by name.
fn keys(section: &Section) -> Map<String, Json> {
    section.names().into_iter().map(|key| (key.to_owned(), key_schema(section, key))).collect()
}

/// The result of `schema` for each of `sections`, by name.
fn each(sections: &[&Section], schema: fn(&Section) -> Json) -> Map<String, Json> {
    sections.iter().map(|section| (section.name.to_owned(), schema(section))).collect()
}

/// Requires each of `sections`, with exactly one of the keys that exclude each other.
fn exactly_one_in(sections: &[&Section]) -> Json {
    let names: Vec<&str> = sections.iter().map(|section| section.name).collect();
    json!({ "required": names, "properties": each(sections, section::exactly_one) })
}

fn without_keys(section: &Section) -> Json {
    let keys: Map<String, Json> =
        section.exactly_one.iter().map(|&key| (key.to_owned(), json!(false))).collect();
    json!({ "properties": keys })
}

fn at_most_one(section: &Section) -> Json {
    json!({ "not": { "required": section.exactly_one } })
}
