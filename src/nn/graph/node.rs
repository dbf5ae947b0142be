//! A layer of a graph: its name, its inputs, and its type and options; read from a job file's table.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{INPUT, shape_error};
use crate::{LayerSpec, registered};
use ternflock_base::error::Result;
use ternflock_base::suggest::suggest;
use ternflock_base::text::quote;

/// A layer of a graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Unique within the network.
    pub name: String,
    /// Names of earlier layers, or [`INPUT`].
    pub inputs: Vec<String>,
    /// Type and options.
    #[serde(flatten, serialize_with = "write")]
    pub layer: LayerSpec,
}

impl Node {
    /// Reads layer `index` from `table`. Its input is `before` unless the table sets another.
    pub(super) fn from_table(mut table: Map<String, Value>, index: usize, before: String) -> Result<Node> {
        let kind = table.get("type").and_then(Value::as_str).unwrap_or("no type").to_string();
        let default_name = format!("{kind}_{}", index + 1);
        let given = table.remove("name");
        let label = given.as_ref().and_then(Value::as_str).unwrap_or(&default_name).to_string();
        let fail = |message: String| shape_error(&label, &kind, message);
        let name = match given {
            None => default_name.clone(),
            Some(Value::String(name)) => name,
            Some(other) => {
                return Err(fail(format!("`name` must be a string, got {}", quote(&other.to_string()))));
            }
        };
        let inputs = match table.remove("inputs") {
            None => vec![before],
            Some(inputs) => serde_json::from_value(inputs)
                .map_err(|_| fail("`inputs` must be a list of layer names".into()))?,
        };
        let layer = read(&table).map_err(|error| {
            let message = error.to_string();
            fail(explain(&message, culprit(&table, &message)))
        })?;
        Ok(Node { name, inputs, layer })
    }
}

/// Writes the type and the options of `layer`, built-in or registered.
fn write<S: Serializer>(layer: &LayerSpec, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    match layer {
        LayerSpec::Registered(layer) => layer.serialize(serializer),
        built_in => built_in.serialize(serializer),
    }
}

/// The layer in `table`, built-in or registered.
fn read(table: &Map<String, Value>) -> serde_json::Result<LayerSpec> {
    match registered::read(table) {
        Some(layer) => layer.map(LayerSpec::Registered),
        None => LayerSpec::deserialize(table),
    }
}

/// The key of `table` whose value causes `message`. serde does not report it: without this key, there would
/// be another message, or none.
fn culprit<'a>(table: &'a Map<String, Value>, message: &str) -> Option<&'a str> {
    let without = |key: &str| {
        let mut table = table.clone();
        table.remove(key);
        read(&table)
    };
    // No layer has that many keys; each is tried on a copy of the table.
    const MOST_TRIED: usize = 64;
    let keys = table.keys().filter(|key| *key != "type").take(MOST_TRIED);
    keys.map(String::as_str).find(|key| without(key).err().is_none_or(|error| error.to_string() != message))
}

/// serde's message about a layer's table, usually about the value of `key`, in the words of job files. An
/// unknown word gets the nearest known one.
fn explain(message: &str, key: Option<&str>) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let words = |what: &str, word: &str, known: Vec<&str>| {
        format!("unknown {what} `{}`; {}", quote(word), suggest(word, &known))
    };
    // The keys that every layer has.
    let common = ["type", "name", "inputs"];
    match (message.split(' ').nth(1), quoted.next()) {
        (Some("field"), Some(word)) if message.starts_with("unknown") => {
            words("key", word, quoted.chain(common).collect())
        }
        (Some("variant"), Some(word)) if message.starts_with("unknown") => {
            let known: Vec<&str> = quoted.collect();
            match key.filter(|_| !known.contains(&"conv2d")) {
                Some(key) => format!("{key}: {}", words("value", word, known)),
                None => words("type", word, [known, registered::kinds()].concat()),
            }
        }
        (Some("field"), Some(word)) if message.starts_with("missing") => format!("needs the key `{word}`"),
        _ => {
            let key = key.unwrap_or("a value");
            match message.split_once(", expected ") {
                Some((found, expected)) => {
                    let found = found.split_once(": ").map_or(found, |(_, found)| found);
                    format!(
                        "{} must be {}, found {}",
                        quote(key),
                        quote(&expected.replace("usize", "a whole number of at least 0")),
                        quote(found)
                    )
                }
                None => format!("{} {}", quote(key), quote(message)),
            }
        }
    }
}

/// Names become HDF5 groups and words on the command line.
pub(super) fn check_name(name: &str) -> std::result::Result<(), String> {
    let sane = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
    match name {
        "" => Err("a layer's name cannot be empty".into()),
        _ if name.len() > 255 => {
            Err(format!("a layer's name of {} bytes is too long; the limit is 255 bytes", name.len()))
        }
        INPUT => Err(format!("`{INPUT}` names the network's input and cannot name a layer")),
        "." | ".." => Err("a layer's name cannot consist of dots only".into()),
        _ if !name.chars().all(sane) => Err("a name may contain only letters, digits and _ - . :".into()),
        _ => Ok(()),
    }
}
