//! Mean of each channel: converts images `[C, H, W, N]` to vectors `[N, C]`.

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, single_image};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut, transpose, vectorise};

/// The mean of each channel: an image becomes a vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAvgPool2d {}

impl Examples for GlobalAvgPool2d {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "global_avg_pool2d"}"#, inputs: &[IMAGE] }];
}

impl WithoutMatrix for GlobalAvgPool2d {}

impl Describe for GlobalAvgPool2d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, ..) = single_image(inputs)?;
        Ok(Shape::Vector { features: channels })
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(
        &self,
        inputs: &[Shape],
        Execution { batch, .. }: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let (channels, height, width) = single_image(inputs)?;
        let means = buffers.zeros(&[channels, batch])?;
        Ok(Box::new(Means { channels, pixels: height * width, means }))
    }
}

struct Means {
    channels: usize,
    pixels: usize,
    /// `[C, N]`: the means, or their gradients.
    means: Vec<f32>,
}

impl Layer for Means {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, share) = (pass.batch, 1.0 / self.pixels as f32);
        let means = &mut self.means[..self.channels * n];
        for_each_row((rows(pass.x.get(0), self.pixels * n), rows_mut(means, n)), |_, (x, means)| {
            means.fill(0.0);
            vectorise(
                #[inline(always)]
                || {
                    for x in x.chunks_exact(n) {
                        means.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
                    }
                    means.iter_mut().for_each(|mean| *mean *= share);
                },
            );
        });
        transpose(means, self.channels, n, pass.y);
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let (n, share) = (pass.batch, 1.0 / self.pixels as f32);
        let means = &mut self.means[..self.channels * n];
        transpose(pass.dy, n, self.channels, means);
        means.iter_mut().for_each(|gradient| *gradient *= share);
        for_each_row((rows(means, n), rows_mut(dx, self.pixels * n)), |_, (gradients, dx)| {
            dx.chunks_exact_mut(n).for_each(|dx| dx.copy_from_slice(gradients));
        });
    }
}
