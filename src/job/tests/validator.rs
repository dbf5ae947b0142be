//! A validator of those parts of JSON Schema that the schema of job files uses, except `pattern`.

use serde_json::{Map, Value as Json};

/// Whether `value` fits `schema`.
///
/// # Panics
/// If the schema has a keyword that is unknown here.
pub(super) fn is_valid(value: &Json, schema: &Json) -> bool {
    let Json::Object(schema) = schema else { return schema.as_bool().expect("a schema") };
    let fits = |keyword: &str| schema.get(keyword).map(|inner| is_valid(value, inner));
    let branch = fits("if").is_none_or(|holds| fits(if holds { "then" } else { "else" }).unwrap_or(true));
    branch && schema.iter().all(|(keyword, wanted)| keeps(value, keyword, wanted, schema))
}

fn keeps(value: &Json, keyword: &str, wanted: &Json, schema: &Map<String, Json>) -> bool {
    let schemas = || wanted.as_array().unwrap().iter();
    let bound = |keeps: fn(f64, f64) -> bool| {
        value.as_f64().is_none_or(|number| keeps(number, wanted.as_f64().expect("a bound is a number")))
    };
    let length = |keeps: fn(u64, u64) -> bool| {
        value.as_array().is_none_or(|entries| keeps(entries.len() as u64, wanted.as_u64().unwrap()))
    };
    match keyword {
        "$schema" | "title" | "description" | "default" | "if" | "then" | "else" | "pattern" => true,
        "type" => is_of_type(value, wanted.as_str().unwrap()),
        "enum" => wanted.as_array().unwrap().contains(value),
        "const" => value == wanted || value.as_f64().is_some() && value.as_f64() == wanted.as_f64(),
        "minimum" => bound(|number, least| number >= least),
        "exclusiveMinimum" => bound(|number, below| number > below),
        "maximum" => bound(|number, most| number <= most),
        "exclusiveMaximum" => bound(|number, above| number < above),
        "minLength" => {
            value.as_str().is_none_or(|text| text.chars().count() as u64 >= wanted.as_u64().unwrap())
        }
        "maxLength" => {
            value.as_str().is_none_or(|text| text.chars().count() as u64 <= wanted.as_u64().unwrap())
        }
        "minItems" => length(|length, least| length >= least),
        "maxItems" => length(|length, most| length <= most),
        "uniqueItems" => value.as_array().is_none_or(|entries| {
            entries.iter().enumerate().all(|(number, entry)| !entries[..number].contains(entry))
        }),
        "items" => value.as_array().is_none_or(|entries| entries.iter().all(|entry| is_valid(entry, wanted))),
        "anyOf" => schemas().any(|schema| is_valid(value, schema)),
        "allOf" => schemas().all(|schema| is_valid(value, schema)),
        "oneOf" => schemas().filter(|schema| is_valid(value, schema)).count() == 1,
        "not" => !is_valid(value, wanted),
        "required" => value
            .as_object()
            .is_none_or(|object| schemas().all(|key| object.contains_key(key.as_str().unwrap()))),
        "properties" => value.as_object().is_none_or(|object| {
            let known = wanted.as_object().unwrap();
            object.iter().all(|(key, value)| known.get(key).is_none_or(|schema| is_valid(value, schema)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let known = schema.get("properties").and_then(Json::as_object);
            let more = object.iter().filter(|(key, _)| !known.is_some_and(|known| known.contains_key(*key)));
            more.into_iter().all(|(_, value)| is_valid(value, wanted))
        }),
        keyword => panic!("unknown keyword {keyword}"),
    }
}

fn is_of_type(value: &Json, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        name => panic!("unknown type {name}"),
    }
}
