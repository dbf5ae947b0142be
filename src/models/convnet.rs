//! The ConvNets of Caffe's CIFAR-10 example, `cifar10_quick` and `cifar10_full`, with their initialisation.

use serde_json::{Value, json};

use super::{Tables, tables};

/// Three convolutions and two linear layers: 145,578 parameters for 3x32x32 images of 10 classes.
pub fn quick(classes: usize) -> Tables {
    tables(json!([
        conv(1, 32, 1e-4),
        pool(1, "max_pool2d"),
        relu(1),
        conv(2, 32, 0.01),
        relu(2),
        pool(2, "avg_pool2d"),
        conv(3, 64, 0.01),
        relu(3),
        pool(3, "avg_pool2d"),
        {"name": "flatten", "type": "flatten"},
        {"name": "ip1", "type": "linear", "units": 64, "init": {"normal": 0.1}},
        {"name": "ip2", "type": "linear", "units": classes, "init": {"normal": 0.1}},
    ]))
}

/// Three convolutions with local response norms between them and one linear layer: 89,578 parameters for 3x32x32 images
/// of 10 classes.
pub fn full(classes: usize) -> Tables {
    tables(json!([
        conv(1, 32, 1e-4),
        pool(1, "max_pool2d"),
        relu(1),
        norm(1),
        conv(2, 32, 0.01),
        relu(2),
        pool(2, "avg_pool2d"),
        norm(2),
        conv(3, 64, 0.01),
        relu(3),
        pool(3, "avg_pool2d"),
        {"name": "flatten", "type": "flatten"},
        {"name": "ip1", "type": "linear", "units": classes, "init": {"normal": 0.01}},
    ]))
}

fn conv(number: usize, filters: usize, deviation: f64) -> Value {
    json!({"name": format!("conv{number}"), "type": "conv2d", "filters": filters, "kernel": 5, "padding": 2,
           "init": {"normal": deviation}})
}

/// 3x3 windows that overlap; Caffe rounds sizes up, 32 to 16 to 8 to 4.
fn pool(number: usize, kind: &str) -> Value {
    json!({"name": format!("pool{number}"), "type": kind, "kernel": 3, "stride": 2, "ceil": true})
}

fn relu(number: usize) -> Value {
    json!({"name": format!("relu{number}"), "type": "relu"})
}

fn norm(number: usize) -> Value {
    json!({"name": format!("norm{number}"), "type": "local_response_norm", "size": 3, "alpha": 5e-5,
           "region": "within_channel"})
}
