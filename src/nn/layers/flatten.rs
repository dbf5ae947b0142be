//! Converts images `[C, H, W, N]` to vectors `[N, C H W]`, and sequences `[T, N, D]` to vectors `[N, D T]`.

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, SEQUENCE, single};
use crate::coupling::{Coupling, Units};
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::size::elements;
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, for_each_row, rows_mut, transpose, transpose_part};

/// Converts images and sequences to vectors, unit by unit: the pixels of the first channel come first, or the
/// steps of the first feature, as in PyTorch (`[N, C, H, W]` and `[N, C, L]`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl Flatten {
    /// The units of the input, and the numbers of each.
    fn sizes(inputs: &[Shape]) -> Result<(usize, usize), String> {
        match single(inputs)? {
            Shape::Image { channels, height, width } => Ok((channels, elements(&[height, width])?)),
            Shape::Sequence { steps, features } => Ok((features, steps)),
            shape => Err(format!("takes images (CxHxW) or sequences of vectors, got {}", shape.described())),
        }
    }
}

impl Examples for Flatten {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "flatten"}"#, inputs: &[IMAGE] },
        Example { table: r#"{"type": "flatten"}"#, inputs: &[SEQUENCE] },
    ];
}

impl WithoutMatrix for Flatten {}

impl Describe for Flatten {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (units, each) = Flatten::sizes(inputs)?;
        Ok(Shape::Vector { features: elements(&[units, each])? })
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, inputs: &[Shape]) -> Result<Coupling, String> {
        let (_, each) = Flatten::sizes(inputs)?;
        Ok(Coupling::new(Units::Spread(each)))
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        let (units, each) = Flatten::sizes(inputs)?;
        Ok(match single(inputs)? {
            Shape::Sequence { steps, features } => Box::new(OfSequences { steps, features }),
            _ => Box::new(OfImages { features: units * each }),
        })
    }
}

struct OfImages {
    features: usize,
}

impl Layer for OfImages {
    fn forward(&mut self, pass: Forward<'_>) {
        transpose(pass.x.get(0), self.features, pass.batch, pass.y);
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        if let Some(dx) = pass.dx.get(0) {
            transpose(pass.dy, pass.batch, self.features, dx);
        }
    }
}

/// The steps of one sample are N D numbers apart; each sample is transposed by itself.
struct OfSequences {
    steps: usize,
    features: usize,
}

impl Layer for OfSequences {
    fn forward(&mut self, pass: Forward<'_>) {
        let (steps, features, x) = (self.steps, self.features, pass.x.get(0));
        let row = pass.batch * features;
        for_each_row(rows_mut(pass.y, features * steps), |sample, y| {
            transpose_part((&x[sample * features..], row), steps, features, (y, steps));
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let (steps, features) = (self.steps, self.features);
        let row = pass.batch * features;
        for (sample, dy) in pass.dy.chunks_exact(features * steps).enumerate() {
            transpose_part((dy, steps), features, steps, (&mut dx[sample * features..], row));
        }
    }
}
