//! A factor per channel: y = w_c x, for images `[C, H, W, N]`.

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, single_image};
use crate::coupling::{Axis, Coupling};
use crate::declare::WithoutMatrix;
use crate::init::{Fan, Init};
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer, ParameterSpec, TensorRole, WEIGHT};
use crate::{Execution, Shape};
use ternflock_tensor::Buffers;

/// Multiplies each channel by a trained factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The initial factor.
    #[serde(default = "one")]
    pub initial: f64,
}

fn one() -> f64 {
    1.0
}

impl Examples for Scale {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "scale", "initial": 0.5}"#, inputs: &[IMAGE] }];
}

impl WithoutMatrix for Scale {}

impl Describe for Scale {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        Init::Constant(self.initial).check()?;
        single_image(inputs)?;
        Ok(inputs[0])
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let (channels, _, _) = single_image(inputs)?;
        Ok(vec![ParameterSpec {
            name: WEIGHT,
            shape: vec![channels],
            init: Init::Constant(self.initial),
            fan: Fan { inputs: 1, outputs: 1 },
            role: TensorRole::Normalisation,
            axes: vec![Axis::Makes(1)],
        }])
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> Result<u64, String> {
        Ok(inputs[0].elements() as u64)
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        let (_, height, width) = single_image(inputs)?;
        Ok(Box::new(Factors { pixels: height * width }))
    }
}

struct Factors {
    pixels: usize,
}

impl Layer for Factors {
    fn forward(&mut self, pass: Forward<'_>) {
        let channel = self.pixels * pass.batch;
        let images = pass.y.chunks_exact_mut(channel).zip(pass.x.get(0).chunks_exact(channel));
        for ((y, x), w) in images.zip(pass.parameters.get(WEIGHT)) {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = w * x);
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let channel = self.pixels * pass.batch;
        let images = pass.x.get(0).chunks_exact(channel).zip(pass.dy.chunks_exact(channel));
        for ((x, dy), gradient) in images.zip(pass.gradients.get(WEIGHT)) {
            *gradient = x.iter().zip(dy).map(|(x, dy)| x * dy).sum();
        }
        let Some(dx) = pass.dx.get(0) else { return };
        let images = dx.chunks_exact_mut(channel).zip(pass.dy.chunks_exact(channel));
        for ((dx, dy), w) in images.zip(pass.parameters.get(WEIGHT)) {
            dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = w * dy);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::gradient_check::Check;
    use super::*;

    /// Linear in each number, so that differences are exact.
    #[test]
    fn gradients_are_differences() {
        Check::new(json!({"type": "scale"}), IMAGE, 3).run(0.0);
    }
}
