//! Rectifier: y = max(x, 0).

use serde::{Deserialize, Serialize};

use super::single_numbers;
use crate::nn::Shape;
use crate::nn::layer::{Backward, Describe, Forward, Layer};

/// Rectifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu {}

impl Describe for Relu {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single_numbers(inputs)
    }

    fn build(&self, _: &[Shape], _: usize) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Rectifier))
    }
}

struct Rectifier;

impl Layer for Rectifier {
    /// Written so that a NaN stays one: a maximum would hide it.
    fn forward(&mut self, pass: Forward<'_>) {
        for (y, &x) in pass.y.iter_mut().zip(pass.x.get(0)) {
            *y = if x < 0.0 { 0.0 } else { x };
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        for ((dx, &dy), &y) in dx.iter_mut().zip(pass.dy).zip(pass.y) {
            *dx = if y > 0.0 { dy } else { 0.0 };
        }
    }
}
