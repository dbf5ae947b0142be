//! AlexNet (Krizhevsky, Sutskever and Hinton, 2012) as in Caffe's `bvlc_alexnet`: normalisation before pooling.

use serde_json::{Value, json};

use super::{Tables, tables};

/// Five convolutions, three of them in two groups, and three linear layers: 60,965,224 parameters for 3x227x227 images of
/// 1000 classes.
pub fn layers(classes: usize) -> Tables {
    let mut first = conv(1, 96, 11, 0, 1);
    first["stride"] = 4.into();
    tables(json!([
        first, relu(1), norm(1), pool(1),
        conv(2, 256, 5, 2, 2), relu(2), norm(2), pool(2),
        conv(3, 384, 3, 1, 1), relu(3),
        conv(4, 384, 3, 1, 2), relu(4),
        conv(5, 256, 3, 1, 2), relu(5), pool(5),
        {"name": "flatten", "type": "flatten"},
        hidden(6), relu(6), dropout(6),
        hidden(7), relu(7), dropout(7),
        {"name": "fc8", "type": "linear", "units": classes, "init": {"normal": 0.01}},
    ]))
}

/// The biases of the layers with groups are initialised to 0.1.
fn conv(number: usize, filters: usize, kernel: usize, padding: usize, groups: usize) -> Value {
    let bias = if groups == 1 { 0.0 } else { 0.1 };
    json!({"name": format!("conv{number}"), "type": "conv2d", "filters": filters, "kernel": kernel,
           "padding": padding, "groups": groups, "init": {"normal": 0.01}, "bias_init": {"constant": bias}})
}

fn relu(number: usize) -> Value {
    json!({"name": format!("relu{number}"), "type": "relu"})
}

fn norm(number: usize) -> Value {
    json!({"name": format!("norm{number}"), "type": "local_response_norm", "size": 5})
}

fn pool(number: usize) -> Value {
    json!({"name": format!("pool{number}"), "type": "max_pool2d", "kernel": 3, "stride": 2, "ceil": true})
}

fn hidden(number: usize) -> Value {
    json!({"name": format!("fc{number}"), "type": "linear", "units": 4096, "init": {"normal": 0.005},
           "bias_init": {"constant": 0.1}})
}

fn dropout(number: usize) -> Value {
    json!({"name": format!("drop{number}"), "type": "dropout", "rate": 0.5})
}
