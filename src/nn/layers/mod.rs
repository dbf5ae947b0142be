//! One file per layer: its options, output shape, forward and backward. The list below has one line per file.

mod add;
mod avg_pool1d;
mod avg_pool2d;
mod batch_norm;
mod columns;
mod concat;
mod conv1d;
mod conv2d;
mod dropout;
mod elementwise;
mod embedding;
mod flatten;
mod gelu;
mod global_avg_pool1d;
mod global_avg_pool2d;
mod last_step;
mod layer_norm;
mod leaky_relu;
mod linear;
mod local_response_norm;
mod max_pool1d;
mod max_pool2d;
mod recurrent;
mod relu;
#[cfg(test)]
mod scale;
mod shortcut;
mod sigmoid;
mod steps;
mod tanh;
mod window;

#[cfg(test)]
mod gradient_check;

pub use columns::Columns;
pub use conv1d::{Padding, PaddingRule};
pub use elementwise::{Elementwise, Function};
pub use gelu::Approximation;
pub use recurrent::Nonlinearity;
pub use steps::Pooling1d;
pub use window::Pooling;

use serde::{Deserialize, Serialize};

use super::Shape;
use super::example::{Example, Examples, IMAGE, SEQUENCE, TOKENS, VECTOR};
use super::layer::Describe;
pub use super::registered::Registered;

/// Generates [`LayerSpec`] from the list of layers: the module of each, its type, and the name of the type in job files. A new
/// layer needs one line in this list.
macro_rules! layers {
    ($($file:ident: $($(#[$only:meta])? $layer:ident = $kind:literal),+;)*) => {
        $($($(#[$only])? pub use $file::$layer;)+)*

        /// A layer's type and options.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum LayerSpec {
            $($(
                $(#[$only])?
                #[doc = concat!("[`", stringify!($layer), "`], `type = \"", $kind, "\"`.")]
                #[serde(rename = $kind)]
                $layer($layer),
            )+)*
            /// A layer that this program has registered.
            #[serde(skip)]
            Registered(Registered),
        }

        impl LayerSpec {
            /// The names of the built-in types in job files.
            pub const KINDS: &'static [&'static str] = &[$($($(#[$only])? $kind),+),*];

            /// Examples of every type.
            pub fn examples() -> Vec<Example> {
                [$($($(#[$only])? $layer::EXAMPLES),+),*].concat()
            }

            /// The layer's own description.
            pub fn describe(&self) -> &dyn Describe {
                match self {
                    $($($(#[$only])? LayerSpec::$layer(layer) => layer,)+)*
                    LayerSpec::Registered(layer) => layer.describe(),
                }
            }

            /// The mutable version of [`LayerSpec::describe`].
            pub fn describe_mut(&mut self) -> &mut dyn Describe {
                match self {
                    $($($(#[$only])? LayerSpec::$layer(layer) => layer,)+)*
                    LayerSpec::Registered(layer) => layer.describe_mut(),
                }
            }

            /// The name of the type in job files.
            pub fn kind(&self) -> &'static str {
                match self {
                    $($($(#[$only])? LayerSpec::$layer(_) => $kind,)+)*
                    LayerSpec::Registered(layer) => layer.kind,
                }
            }
        }
    };
}

layers! {
    conv2d: Conv2d = "conv2d";
    conv1d: Conv1d = "conv1d";
    max_pool2d: MaxPool2d = "max_pool2d";
    avg_pool2d: AvgPool2d = "avg_pool2d";
    max_pool1d: MaxPool1d = "max_pool1d";
    avg_pool1d: AvgPool1d = "avg_pool1d";
    linear: Linear = "linear";
    relu: Relu = "relu";
    leaky_relu: LeakyRelu = "leaky_relu";
    tanh: Tanh = "tanh";
    sigmoid: Sigmoid = "sigmoid";
    gelu: Gelu = "gelu";
    flatten: Flatten = "flatten";
    add: Add = "add";
    concat: Concat = "concat";
    embedding: Embedding = "embedding";
    batch_norm: BatchNorm = "batch_norm";
    layer_norm: LayerNorm = "layer_norm";
    local_response_norm: LocalResponseNorm = "local_response_norm";
    global_avg_pool2d: GlobalAvgPool2d = "global_avg_pool2d";
    global_avg_pool1d: GlobalAvgPool1d = "global_avg_pool1d";
    last_step: LastStep = "last_step";
    shortcut: Shortcut = "shortcut";
    dropout: Dropout = "dropout";
    recurrent: Lstm = "lstm", Rnn = "rnn", Gru = "gru", Rhn = "rhn";
    // The example of docs/contributing/layer.md.
    scale: #[cfg(test)] Scale = "scale";
}

/// The only input of a layer that takes one.
fn single(inputs: &[Shape]) -> Result<Shape, String> {
    match inputs {
        [shape] => Ok(*shape),
        _ => Err(format!("takes one input, got {}", inputs.len())),
    }
}

/// The only input, which must be an image: (C, H, W).
fn single_image(inputs: &[Shape]) -> Result<(usize, usize, usize), String> {
    match single(inputs)? {
        Shape::Image { channels, height, width } => Ok((channels, height, width)),
        shape => Err(format!("takes images (CxHxW), got {}", shape.described())),
    }
}

/// The only input, which must hold numbers: tokens are names.
fn single_numbers(inputs: &[Shape]) -> Result<Shape, String> {
    match single(inputs)? {
        Shape::Tokens { .. } => Err(format!("takes numbers, got {}", tokens_instead(inputs[0]))),
        shape => Ok(shape),
    }
}

/// The only input, which must be a vector or a sequence of vectors: the rows per sample, and D.
fn single_rows(inputs: &[Shape]) -> Result<(usize, usize), String> {
    match single(inputs)? {
        Shape::Vector { features } => Ok((1, features)),
        Shape::Sequence { steps, features } => Ok((steps, features)),
        Shape::Image { .. } => {
            Err(format!("takes vectors, got {}; put a `flatten` layer before it", inputs[0].described()))
        }
        Shape::Tokens { .. } => Err(format!("takes vectors, got {}", tokens_instead(inputs[0]))),
    }
}

/// The only input, which must be a sequence of vectors: (T, D).
fn single_sequence(inputs: &[Shape]) -> Result<(usize, usize), String> {
    match single(inputs)? {
        Shape::Sequence { steps, features } => Ok((steps, features)),
        Shape::Tokens { .. } => Err(format!("takes sequences of vectors, got {}", tokens_instead(inputs[0]))),
        shape => Err(format!("takes sequences of vectors, got {}", shape.described())),
    }
}

fn tokens_instead(tokens: Shape) -> String {
    format!("{}; put an `embedding` layer before it", tokens.described())
}
