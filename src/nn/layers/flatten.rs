//! Converts images `[C, H, W, N]` to vectors `[N, C H W]`.

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, single_image};
use crate::coupling::{Coupling, Units};
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, Describe, Forward, Layer};
use crate::size::elements;
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, transpose};

/// Converts images to vectors, channel by channel as in PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl Examples for Flatten {
    const EXAMPLES: &'static [Example] = &[Example { table: r#"{"type": "flatten"}"#, inputs: &[IMAGE] }];
}

impl WithoutMatrix for Flatten {}

impl Describe for Flatten {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, height, width) = single_image(inputs)?;
        Ok(Shape::Vector { features: elements(&[channels, height, width])? })
    }

    fn coupling(&self, inputs: &[Shape]) -> Result<Coupling, String> {
        let (_, height, width) = single_image(inputs)?;
        Ok(Coupling::new(Units::Spread(height * width)))
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        let (channels, height, width) = single_image(inputs)?;
        Ok(Box::new(Regroup { features: channels * height * width }))
    }
}

struct Regroup {
    features: usize,
}

impl Layer for Regroup {
    fn forward(&mut self, pass: Forward<'_>) {
        transpose(pass.x.get(0), self.features, pass.batch, pass.y);
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        if let Some(dx) = pass.dx.get(0) {
            transpose(pass.dy, pass.batch, self.features, dx);
        }
    }
}
