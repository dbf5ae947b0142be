//! A small network for CIFAR in the manner of Simonyan and Zisserman, "Very deep convolutional networks for large-scale
//! image recognition" (2015): 3x3 convolutions in pairs, each pair with twice the filters and half the pixels.

use serde_json::{Value, json};

use super::{Tables, tables};

/// Pairs of 64, 128 and 256 filters, each followed by pooling, then 512 units and the logits: 3,248,202 parameters for
/// 3x32x32 images of 10 classes. Weights begin as in He et al. (2015).
pub fn layers(classes: usize) -> Tables {
    let mut layers: Vec<Value> = Vec::new();
    for (block, filters) in [64, 128, 256].into_iter().enumerate() {
        let block = block + 1;
        for index in 1..=2 {
            layers.push(json!({"name": format!("conv{block}_{index}"), "type": "conv2d", "filters": filters,
                               "kernel": 3, "padding": 1, "init": "he_normal"}));
            layers.push(json!({"name": format!("relu{block}_{index}"), "type": "relu"}));
        }
        layers.push(json!({"name": format!("pool{block}"), "type": "max_pool2d", "kernel": 2}));
    }
    layers.push(json!({"name": "flatten", "type": "flatten"}));
    layers.push(json!({"name": "fc1", "type": "linear", "units": 512, "init": "he_normal"}));
    layers.push(json!({"name": "relu_fc1", "type": "relu"}));
    layers.push(json!({"name": "fc2", "type": "linear", "units": classes, "init": "he_normal"}));
    tables(layers.into())
}
