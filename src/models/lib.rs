//! The model zoo: networks by name, with their published shapes. There is one file per family.

mod alexnet;
mod convnet;
mod googlenet;
mod language;
mod lenet;
mod mlp;
mod resnet;
mod samples;
mod vgg;

use serde_json::{Map, Value};

use ternflock_base::error::{Error, Result};
use ternflock_job::find_preset;
use ternflock_nn::{Graph, Shape};

pub use samples::{samples, training_steps};

/// The layers of a network, in the format of a job file.
type Tables = Vec<Map<String, Value>>;

/// The network called `name` for samples of shape `input` and `classes` classes.
///
/// # Errors
/// [`Error::Usage`] if there is no such preset, [`Error::Shape`] if it does not fit the samples.
pub fn preset(name: &str, input: Shape, classes: usize) -> Result<Graph> {
    let layers = match find(name)? {
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
        other => unreachable!("the preset {other} has no layers"),
    };
    Graph::from_tables(input, layers).map_err(|(error, _)| error)
}

/// The preset called `name`, which may be an alias.
///
/// # Errors
/// [`Error::Usage`] when there is no such preset.
pub fn find(name: &str) -> Result<&'static str> {
    find_preset(name).map_err(Error::Usage)
}

/// Converts a `json!` list to tables.
fn tables(list: Value) -> Tables {
    serde_json::from_value(list).expect("a literal list of tables")
}

#[cfg(test)]
mod tests;
