//! Mean over windows of the steps of a sequence `[T, N, D]`, feature by feature.

use serde::{Deserialize, Serialize};

use super::avg_pool2d::add_share;
use super::steps::{Pooling1d, Windows, blocks};
use super::{Example, Examples, SEQUENCE};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, for_each_row, rows_mut, vectorise};

/// Mean pooling over time. A window that extends over an end divides by the number of steps it covers, without
/// padding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AvgPool1d(pub Pooling1d);

impl Examples for AvgPool1d {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "avg_pool1d", "kernel": 2}"#, inputs: &[SEQUENCE] }];
}

impl WithoutMatrix for AvgPool1d {}

impl Describe for AvgPool1d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(self.0.windows(inputs)?.output())
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Mean { windows: self.0.windows(inputs)? }))
    }
}

struct Mean {
    windows: Windows,
}

impl Mean {
    /// The weight of each step of window `index` in its mean.
    fn share(&self, index: usize) -> f32 {
        1.0 / self.windows.covered(index).len() as f32
    }
}

impl Layer for Mean {
    fn forward(&mut self, pass: Forward<'_>) {
        let (x, step) = (pass.x.get(0), pass.batch * self.windows.features);
        for_each_row(rows_mut(pass.y, step), |window, y| {
            let (steps, share) = (self.windows.covered(window), self.share(window));
            vectorise(
                #[inline(always)]
                || {
                    for block in blocks(step) {
                        let y = &mut y[block.clone()];
                        y.fill(0.0);
                        for t in steps.clone() {
                            add_share(share, &x[t * step..][block.clone()], y);
                        }
                    }
                },
            );
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let (dy, step) = (pass.dy, pass.batch * self.windows.features);
        for_each_row(rows_mut(dx, step), |t, dx| {
            vectorise(
                #[inline(always)]
                || {
                    for block in blocks(step) {
                        let dx = &mut dx[block.clone()];
                        dx.fill(0.0);
                        for window in self.windows.over(t) {
                            add_share(self.share(window), &dy[window * step..][block.clone()], dx);
                        }
                    }
                },
            );
        });
    }
}
