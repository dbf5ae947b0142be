//! Images `[C, N, H, W]` to vectors `[N, C H W]`.

use serde::{Deserialize, Serialize};

use super::single_image;
use crate::nn::Shape;
use crate::nn::layer::{Backward, Describe, Forward, Layer};
use crate::nn::size::elements;

/// Turns images into vectors, channel by channel as in PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl Describe for Flatten {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, height, width) = single_image(inputs)?;
        Ok(Shape::Vector { features: elements(&[channels, height, width])? })
    }

    fn build(&self, inputs: &[Shape], _: usize) -> Result<Box<dyn Layer>, String> {
        let (channels, height, width) = single_image(inputs)?;
        Ok(Box::new(Regroup { channels, pixels: height * width }))
    }
}

struct Regroup {
    channels: usize,
    pixels: usize,
}

impl Layer for Regroup {
    fn forward(&mut self, pass: Forward<'_>) {
        let x = pass.x.get(0);
        for (n, vector) in pass.y.chunks_exact_mut(self.channels * self.pixels).enumerate() {
            for (c, pixels) in vector.chunks_exact_mut(self.pixels).enumerate() {
                let start = (c * pass.batch + n) * self.pixels;
                pixels.copy_from_slice(&x[start..start + self.pixels]);
            }
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        for (n, vector) in pass.dy.chunks_exact(self.channels * self.pixels).enumerate() {
            for (c, pixels) in vector.chunks_exact(self.pixels).enumerate() {
                let start = (c * pass.batch + n) * self.pixels;
                dx[start..start + self.pixels].copy_from_slice(pixels);
            }
        }
    }
}
