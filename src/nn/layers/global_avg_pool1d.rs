//! Mean over time: converts sequences `[T, N, D]` to vectors `[N, D]`.

use serde::{Deserialize, Serialize};

use super::steps::BLOCK;
use super::{Example, Examples, SEQUENCE, single_sequence};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, for_each_row, rows_mut, vectorise};

/// The mean of each feature over all steps: a sequence becomes a vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAvgPool1d {}

impl Examples for GlobalAvgPool1d {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "global_avg_pool1d"}"#, inputs: &[SEQUENCE] }];
}

impl WithoutMatrix for GlobalAvgPool1d {}

impl Describe for GlobalAvgPool1d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (_, features) = single_sequence(inputs)?;
        Ok(Shape::Vector { features })
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        let (steps, _) = single_sequence(inputs)?;
        Ok(Box::new(Mean { steps }))
    }
}

struct Mean {
    steps: usize,
}

impl Layer for Mean {
    fn forward(&mut self, pass: Forward<'_>) {
        let (x, step, share) = (pass.x.get(0), pass.y.len(), 1.0 / self.steps as f32);
        for_each_row(rows_mut(pass.y, BLOCK), |block, y| {
            vectorise(
                #[inline(always)]
                || {
                    y.fill(0.0);
                    for x in x.chunks_exact(step) {
                        y.iter_mut().zip(&x[block * BLOCK..]).for_each(|(sum, x)| *sum += x);
                    }
                    y.iter_mut().for_each(|mean| *mean *= share);
                },
            );
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let (dy, share) = (pass.dy, 1.0 / self.steps as f32);
        for_each_row(rows_mut(dx, dy.len()), |_, dx| {
            vectorise(
                #[inline(always)]
                || dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = share * dy),
            );
        });
    }
}
