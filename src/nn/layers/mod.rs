//! One file a layer: its options, what it makes of shapes, forward and backward.

mod add;
mod avg_pool2d;
mod batch_norm;
mod columns;
mod concat;
mod conv2d;
mod dropout;
mod embedding;
mod flatten;
mod global_avg_pool2d;
mod linear;
mod local_response_norm;
mod max_pool2d;
mod recurrent;
mod relu;
mod shortcut;
mod window;

#[cfg(test)]
mod gradient_check;

pub use add::Add;
pub use avg_pool2d::AvgPool2d;
pub use batch_norm::BatchNorm;
pub use columns::Columns;
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use global_avg_pool2d::GlobalAvgPool2d;
pub use linear::Linear;
pub use local_response_norm::LocalResponseNorm;
pub use max_pool2d::MaxPool2d;
pub use recurrent::{Gru, Lstm, Nonlinearity, Rhn, Rnn};
pub use relu::Relu;
pub use shortcut::Shortcut;
pub use window::Pooling;

use super::Shape;

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

/// The only input, of numbers to compute with: tokens are names.
fn single_numbers(inputs: &[Shape]) -> Result<Shape, String> {
    match single(inputs)? {
        Shape::Tokens { .. } => Err(format!("takes numbers, got {}", tokens_instead(inputs[0]))),
        shape => Ok(shape),
    }
}

/// The only input, which must be a vector or a sequence of them: the rows of a sample and D.
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
