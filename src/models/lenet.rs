//! LeNet as in Caffe's MNIST example.

use serde_json::json;

use super::{Tables, tables};

/// 20 and 50 filters of 5x5 without ReLU, 500 units, and the logits: 431,080 parameters for 28x28 images of
/// 10 classes.
pub fn layers(classes: usize) -> Tables {
    tables(json!([
        {"name": "conv1", "type": "conv2d", "filters": 20, "kernel": 5},
        {"name": "pool1", "type": "max_pool2d", "kernel": 2},
        {"name": "conv2", "type": "conv2d", "filters": 50, "kernel": 5},
        {"name": "pool2", "type": "max_pool2d", "kernel": 2},
        {"name": "flatten", "type": "flatten"},
        {"name": "ip1", "type": "linear", "units": 500},
        {"name": "relu1", "type": "relu"},
        {"name": "ip2", "type": "linear", "units": classes},
    ]))
}
