//! Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015): 3x3
//! convolutions, with more filters each time the image is halved. Weights are initialised as in He et al.
//! (2015).

use serde_json::{Value, json};

use super::{Tables, tables};

/// A small network for CIFAR: pairs of convolutions with 64, 128 and 256 filters, each pair followed by
/// pooling, then 512 units and the logits: 3,248,202 parameters for 3x32x32 images of 10 classes.
pub fn small(classes: usize) -> Tables {
    let mut layers = blocks(&[(2, 64), (2, 128), (2, 256)]);
    layers.extend([linear("fc1", 512), json!({"name": "relu_fc1", "type": "relu"}), linear("fc2", classes)]);
    tables(layers.into())
}

/// Configuration A of table 1, of eleven layers with weights: 132,863,336 parameters for 3x224x224 images of 1000 classes.
pub fn a(classes: usize) -> Tables {
    let mut layers = blocks(&[(1, 64), (1, 128), (2, 256), (2, 512), (2, 512)]);
    for name in ["fc6", "fc7"] {
        layers.extend([
            linear(name, 4096),
            json!({"name": format!("relu_{name}"), "type": "relu"}),
            json!({"name": format!("drop_{name}"), "type": "dropout", "rate": 0.5}),
        ]);
    }
    layers.push(linear("fc8", classes));
    tables(layers.into())
}

/// The convolutions of each block, each with a ReLU, and pooling after each block; then a vector.
fn blocks(blocks: &[(usize, usize)]) -> Vec<Value> {
    let mut layers: Vec<Value> = Vec::new();
    for (block, &(convolutions, filters)) in blocks.iter().enumerate() {
        let block = block + 1;
        for index in 1..=convolutions {
            layers.push(json!({"name": format!("conv{block}_{index}"), "type": "conv2d", "filters": filters,
                               "kernel": 3, "padding": 1, "init": "he_normal"}));
            layers.push(json!({"name": format!("relu{block}_{index}"), "type": "relu"}));
        }
        layers.push(json!({"name": format!("pool{block}"), "type": "max_pool2d", "kernel": 2}));
    }
    layers.push(json!({"name": "flatten", "type": "flatten"}));
    layers
}

fn linear(name: &str, units: usize) -> Value {
    json!({"name": name, "type": "linear", "units": units, "init": "he_normal"})
}
