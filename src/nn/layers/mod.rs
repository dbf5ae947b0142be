//! One file a layer: its options, what it makes of shapes, forward and backward.

mod add;
mod avg_pool2d;
mod conv2d;
mod flatten;
mod linear;
mod max_pool2d;
mod relu;
mod window;

#[cfg(test)]
mod gradient_check;

pub use add::Add;
pub use avg_pool2d::AvgPool2d;
pub use conv2d::Conv2d;
pub use flatten::Flatten;
pub use linear::Linear;
pub use max_pool2d::MaxPool2d;
pub use relu::Relu;
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
        shape => Err(format!("takes images (CxHxW), got vectors of {shape}")),
    }
}

/// The only input, which must be a vector: D.
fn single_vector(inputs: &[Shape]) -> Result<usize, String> {
    match single(inputs)? {
        Shape::Vector { features } => Ok(features),
        shape => Err(format!("takes vectors, got images of {shape}; put a `flatten` layer before it")),
    }
}
