//! Residual networks: He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2016), with the
//! initialisation of their "Delving deep into rectifiers" (2015).

use serde_json::{Value, json};

use super::{Tables, tables};

/// Section 4.2, for CIFAR, with shortcuts without parameters (option A).
///
/// `depth` = 6n + 2 layers: a convolution, three stages of n blocks of two convolutions with 16, 32 and 64
/// filters, and the logits from the mean of each channel. 269,722 parameters at depth 20, for 3x32x32 images
/// of 10 classes.
pub fn layers(depth: usize, classes: usize) -> Tables {
    let mut layers = vec![conv("conv1", 16, 3, 1), norm("bn1", true)];
    let mut before = "bn1".to_string();
    for (stage, filters) in [16, 32, 64].into_iter().enumerate() {
        for index in 0..(depth - 2) / 6 {
            let name = format!("stage{}.block{}", stage + 1, index + 1);
            before = block(&mut layers, &name, before, filters, stage > 0 && index == 0);
        }
    }
    layers.push(json!({"name": "pool", "type": "global_avg_pool2d"}));
    layers.push(json!({"name": "fc", "type": "linear", "units": classes, "init": "he_normal"}));
    tables(layers.into())
}

/// A residual block after the layer `before`; returns the name of its last layer. If it `reduces`, height and
/// width are halved and the number of channels is doubled.
fn block(layers: &mut Vec<Value>, name: &str, before: String, filters: usize, reduces: bool) -> String {
    let called = |layer: &str| format!("{name}.{layer}");
    let stride = if reduces { 2 } else { 1 };
    let mut first = conv(&called("conv1"), filters, 3, stride);
    first["inputs"] = json!([before]);
    layers.extend([
        first,
        norm(&called("bn1"), true),
        conv(&called("conv2"), filters, 3, 1),
        norm(&called("bn2"), false),
    ]);
    let mut short = before;
    if reduces {
        let inputs = [std::mem::replace(&mut short, called("shortcut"))];
        layers.push(json!({"name": short, "type": "shortcut", "channels": filters, "stride": stride, "inputs": inputs}));
    }
    layers.push(json!({"name": called("add"), "type": "add", "inputs": [called("bn2"), short]}));
    layers.push(json!({"name": called("relu"), "type": "relu"}));
    called("relu")
}

/// Table 1, for ImageNet: 50 layers in bottleneck blocks, with 1x1 convolutions in shortcuts that change the
/// shape (option B). The stride of a block is in its 3x3 convolution, as in PyTorch, and not in the 1x1
/// convolution before it. 25,557,032 parameters for 3x224x224 images of 1000 classes.
pub fn layers_50(classes: usize) -> Tables {
    let mut layers = vec![
        conv("conv1", 64, 7, 2),
        norm("bn1", true),
        json!({"name": "pool1", "type": "max_pool2d", "kernel": 3, "stride": 2, "padding": 1}),
    ];
    let mut before = "pool1".to_string();
    for (stage, (blocks, filters)) in [(3, 64), (4, 128), (6, 256), (3, 512)].into_iter().enumerate() {
        for index in 0..blocks {
            let name = format!("stage{}.block{}", stage + 1, index + 1);
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            before = bottleneck(&mut layers, &name, before, filters, stride, index == 0);
        }
    }
    layers.push(json!({"name": "pool", "type": "global_avg_pool2d"}));
    layers.push(json!({"name": "fc", "type": "linear", "units": classes, "init": "he_normal"}));
    tables(layers.into())
}

/// A block with `filters` filters and four times as many channels after the layer `before`; returns the name
/// of its last layer. If the shape is `new`, the shortcut is a convolution.
fn bottleneck(
    layers: &mut Vec<Value>,
    name: &str,
    before: String,
    filters: usize,
    stride: usize,
    new: bool,
) -> String {
    let called = |layer: &str| format!("{name}.{layer}");
    let mut first = conv(&called("conv1"), filters, 1, 1);
    first["inputs"] = json!([before]);
    layers.extend([
        first,
        norm(&called("bn1"), true),
        conv(&called("conv2"), filters, 3, stride),
        norm(&called("bn2"), true),
        conv(&called("conv3"), 4 * filters, 1, 1),
        norm(&called("bn3"), false),
    ]);
    let mut short = before;
    if new {
        let mut projection = conv(&called("shortcut"), 4 * filters, 1, stride);
        projection["inputs"] = json!([short]);
        short = called("shortcut_bn");
        layers.extend([projection, norm(&short, false)]);
    }
    layers.push(json!({"name": called("add"), "type": "add", "inputs": [called("bn3"), short]}));
    layers.push(json!({"name": called("relu"), "type": "relu"}));
    called("relu")
}

/// Batch norm follows, so it has no bias.
fn conv(name: &str, filters: usize, kernel: usize, stride: usize) -> Value {
    json!({"name": name, "type": "conv2d", "filters": filters, "kernel": kernel, "stride": stride,
           "padding": kernel / 2, "bias": false, "init": "he_normal"})
}

fn norm(name: &str, relu: bool) -> Value {
    json!({"name": name, "type": "batch_norm", "relu": relu})
}
