//! The zoo: networks by name, with their published shapes; a file a family.

mod alexnet;
mod convnet;
mod googlenet;
mod language;
mod lenet;
mod mlp;
mod resnet;
mod vgg;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::job::suggest;
use crate::nn::{Graph, Shape};

/// Names that `model.preset` takes.
pub const PRESETS: &[&str] = &[
    "lenet",
    "mlp",
    "convnet-quick",
    "convnet-full",
    "resnet-20",
    "resnet-32",
    "resnet-44",
    "resnet-56",
    "resnet-50",
    "vgg",
    "vgg-a",
    "alexnet",
    "googlenet",
    "lstm-small",
    "lstm-medium",
    "lstm-large",
    "rhn",
];

/// The layers of a network, as a job file lists them.
type Tables = Vec<Map<String, Value>>;

/// The network called `name` for samples of shape `input` and `classes` classes.
pub fn preset(name: &str, input: Shape, classes: usize) -> Result<Graph> {
    let layers = match name {
        "lenet" => lenet::layers(classes),
        "mlp" => mlp::layers(classes),
        "convnet-quick" => convnet::quick(classes),
        "convnet-full" => convnet::full(classes),
        "resnet-20" => resnet::layers(20, classes),
        "resnet-32" => resnet::layers(32, classes),
        "resnet-44" => resnet::layers(44, classes),
        "resnet-56" => resnet::layers(56, classes),
        "resnet-50" => resnet::layers_50(classes),
        "vgg" => vgg::small(classes),
        "vgg-a" => vgg::a(classes),
        "alexnet" => alexnet::layers(classes),
        "googlenet" => googlenet::layers(classes),
        "lstm-small" => language::lstm_small(classes),
        "lstm-medium" => language::lstm_medium(classes),
        "lstm-large" => language::lstm_large(classes),
        "rhn" => language::rhn(classes),
        _ => return Err(unknown(name)),
    };
    Graph::from_tables(input, layers).map_err(|(error, _)| error)
}

/// What to say of a `name` that no preset has.
pub fn unknown(name: &str) -> Error {
    Error::Usage(format!("no preset is called `{name}`; {}", suggest(name, PRESETS)))
}

/// The tables of a `json!` list of them.
fn tables(list: Value) -> Tables {
    serde_json::from_value(list).expect("a literal list of tables")
}

#[cfg(test)]
mod tests;
