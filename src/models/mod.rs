//! The zoo: networks by name, with their published shapes.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::job::suggest;
use crate::nn::{Graph, Shape};

/// Names that `model.preset` takes.
pub const PRESETS: &[&str] = &["lenet"];

/// The network called `name` for samples of shape `input` and `classes` classes.
pub fn preset(name: &str, input: Shape, classes: usize) -> Result<Graph> {
    match name {
        "lenet" => lenet(input, classes),
        _ => Err(unknown(name)),
    }
}

/// What to say of a `name` that no preset has.
pub fn unknown(name: &str) -> Error {
    Error::Usage(format!("no preset is called `{name}`; {}", suggest(name, PRESETS)))
}

/// LeNet as in Caffe's MNIST example: 20 and 50 filters of 5x5 without rectifiers, 500 units, and the logits; 431,080
/// parameters for 28x28 images of 10 classes.
fn lenet(input: Shape, classes: usize) -> Result<Graph> {
    let layers = json!([
        {"name": "conv1", "type": "conv2d", "filters": 20, "kernel": 5},
        {"name": "pool1", "type": "max_pool2d", "kernel": 2},
        {"name": "conv2", "type": "conv2d", "filters": 50, "kernel": 5},
        {"name": "pool2", "type": "max_pool2d", "kernel": 2},
        {"name": "flatten", "type": "flatten"},
        {"name": "ip1", "type": "linear", "units": 500},
        {"name": "relu1", "type": "relu"},
        {"name": "ip2", "type": "linear", "units": classes},
    ]);
    let tables: Vec<Map<String, Value>> =
        serde_json::from_value(layers).expect("the literal above is tables");
    Graph::from_tables(input, tables).map_err(|(error, _)| error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::parameters::{count, table};

    #[test]
    fn lenet_has_its_published_shape() {
        let graph = preset("lenet", Shape::Image { channels: 1, height: 28, width: 28 }, 10).unwrap();
        assert_eq!(count(&table(&graph).unwrap()), 431_080);
        assert_eq!(graph.output(), Shape::Vector { features: 10 });
        assert_eq!(graph.logits_layer().unwrap(), Some("ip2"));
    }

    #[test]
    fn an_unknown_preset_is_refused_with_the_list() {
        let error = preset("lennet", Shape::Vector { features: 1 }, 10).unwrap_err();
        assert!(error.to_string().contains("lenet"));
    }
}
