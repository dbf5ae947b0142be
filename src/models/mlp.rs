//! The perceptron of Wen et al., "Learning structured sparsity in deep neural networks" (2016), section 4.1.

use serde_json::json;

use super::{Tables, tables};

/// 500 and 300 units with ReLU, and the logits: 784-500-300-10 for 28x28 images, with 545,810 parameters.
pub fn layers(classes: usize) -> Tables {
    tables(json!([
        {"name": "flatten", "type": "flatten"},
        {"name": "ip1", "type": "linear", "units": 500},
        {"name": "relu1", "type": "relu"},
        {"name": "ip2", "type": "linear", "units": 300},
        {"name": "relu2", "type": "relu"},
        {"name": "ip3", "type": "linear", "units": classes},
    ]))
}
