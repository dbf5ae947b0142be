//! GoogLeNet (Szegedy et al., "Going deeper with convolutions", 2015, table 1), as in Caffe's
//! `bvlc_googlenet`: local response normalisation, no batch norm. Its two auxiliary classifiers, which are
//! used only in training, are left out.

use serde_json::{Value, json};

use super::{Tables, tables};

/// An Inception module.
struct Module {
    name: &'static str,
    /// Whether pooling comes before it.
    pooled: bool,
    /// The numbers of filters: 1x1; 1x1 and 3x3; 1x1 and 5x5; 1x1 after pooling.
    filters: [usize; 6],
}

const MODULES: [Module; 9] = [
    Module { name: "3a", pooled: true, filters: [64, 96, 128, 16, 32, 32] },
    Module { name: "3b", pooled: false, filters: [128, 128, 192, 32, 96, 64] },
    Module { name: "4a", pooled: true, filters: [192, 96, 208, 16, 48, 64] },
    Module { name: "4b", pooled: false, filters: [160, 112, 224, 24, 64, 64] },
    Module { name: "4c", pooled: false, filters: [128, 128, 256, 24, 64, 64] },
    Module { name: "4d", pooled: false, filters: [112, 144, 288, 32, 64, 64] },
    Module { name: "4e", pooled: false, filters: [256, 160, 320, 32, 128, 128] },
    Module { name: "5a", pooled: true, filters: [256, 160, 320, 32, 128, 128] },
    Module { name: "5b", pooled: false, filters: [384, 192, 384, 48, 128, 128] },
];

/// 6,998,552 parameters for 3x224x224 images of 1000 classes.
pub fn layers(classes: usize) -> Tables {
    let mut layers = Vec::new();
    let stem = convolution(&mut layers, "conv1", "input", 64, 7, 2);
    let stem = pool(&mut layers, "pool1", &stem, 2);
    let stem = norm(&mut layers, "norm1", &stem);
    let stem = convolution(&mut layers, "conv2_reduce", &stem, 64, 1, 1);
    let stem = convolution(&mut layers, "conv2", &stem, 192, 3, 1);
    let mut last = norm(&mut layers, "norm2", &stem);
    for Module { name, pooled, filters: [one, reduce_three, three, reduce_five, five, behind] } in MODULES {
        if pooled {
            last = pool(&mut layers, &format!("pool{name}"), &last, 2);
        }
        let called = |part: &str| format!("inception{name}.{part}");
        let first = convolution(&mut layers, &called("conv1x1"), &last, one, 1, 1);
        let second = convolution(&mut layers, &called("conv3x3_reduce"), &last, reduce_three, 1, 1);
        let second = convolution(&mut layers, &called("conv3x3"), &second, three, 3, 1);
        let third = convolution(&mut layers, &called("conv5x5_reduce"), &last, reduce_five, 1, 1);
        let third = convolution(&mut layers, &called("conv5x5"), &third, five, 5, 1);
        let fourth = pool(&mut layers, &called("pool"), &last, 1);
        let fourth = convolution(&mut layers, &called("pool_conv1x1"), &fourth, behind, 1, 1);
        last = called("concat");
        layers.push(json!({"name": last, "type": "concat", "inputs": [first, second, third, fourth]}));
    }
    layers.extend([
        json!({"name": "pool", "type": "global_avg_pool2d", "inputs": [last]}),
        json!({"name": "drop", "type": "dropout", "rate": 0.4}),
        json!({"name": "fc", "type": "linear", "units": classes}),
    ]);
    tables(layers.into())
}

/// A convolution that keeps height and width at stride 1, and its ReLU, whose name is returned.
fn convolution(
    layers: &mut Vec<Value>,
    name: &str,
    input: &str,
    filters: usize,
    kernel: usize,
    stride: usize,
) -> String {
    layers
        .push(json!({"name": name, "type": "conv2d", "filters": filters, "kernel": kernel, "stride": stride,
                       "padding": kernel / 2, "bias_init": {"constant": 0.2}, "inputs": [input]}));
    let relu = format!("{name}_relu");
    layers.push(json!({"name": relu, "type": "relu"}));
    relu
}

/// 3x3 max pooling; at stride 1 the size does not change.
fn pool(layers: &mut Vec<Value>, name: &str, input: &str, stride: usize) -> String {
    let padding = if stride == 1 { 1 } else { 0 };
    layers
        .push(json!({"name": name, "type": "max_pool2d", "kernel": 3, "stride": stride, "padding": padding,
                       "ceil": true, "inputs": [input]}));
    name.into()
}

fn norm(layers: &mut Vec<Value>, name: &str, input: &str) -> String {
    layers.push(json!({"name": name, "type": "local_response_norm", "size": 5, "inputs": [input]}));
    name.into()
}
