//! Maximum over windows of the steps of a sequence `[T, N, D]`, feature by feature.

use serde::{Deserialize, Serialize};

use super::max_pool2d::{challenge, give};
use super::steps::{Pooling1d, Windows, blocks};
use super::{Example, Examples, SEQUENCE};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, for_each_row, rows_mut, vectorise};

/// Maximum pooling over time; padding never wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaxPool1d(pub Pooling1d);

impl Examples for MaxPool1d {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "max_pool1d", "kernel": 2}"#, inputs: &[SEQUENCE] }];
}

impl WithoutMatrix for MaxPool1d {}

impl Describe for MaxPool1d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(self.0.windows(inputs)?.output())
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
        let windows = self.0.windows(inputs)?;
        let winners = buffers.zeros(&[windows.count, batch, windows.features])?;
        Ok(Box::new(Maximum { windows, winners }))
    }
}

struct Maximum {
    windows: Windows,
    /// The step that gave each output: `[P, N, D]` for P windows.
    winners: Vec<u32>,
}

impl Layer for Maximum {
    fn forward(&mut self, pass: Forward<'_>) {
        let (windows, x, step) = (&self.windows, pass.x.get(0), pass.batch * self.windows.features);
        let winners = &mut self.winners[..pass.y.len()];
        for_each_row((rows_mut(pass.y, step), rows_mut(winners, step)), |window, (best, winners)| {
            let steps = windows.covered(window);
            vectorise(
                #[inline(always)]
                || {
                    for block in blocks(step) {
                        let values = |t: usize| &x[t * step..][block.clone()];
                        let (best, winners) = (&mut best[block.clone()], &mut winners[block.clone()]);
                        best.copy_from_slice(values(steps.start));
                        winners.fill(steps.start as u32);
                        for t in steps.start + 1..steps.end {
                            challenge(values(t), t as u32, best, winners);
                        }
                    }
                },
            );
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let (windows, dy, step) = (&self.windows, pass.dy, pass.batch * self.windows.features);
        let winners = &self.winners[..dy.len()];
        for_each_row(rows_mut(dx, step), |t, dx| {
            vectorise(
                #[inline(always)]
                || {
                    for block in blocks(step) {
                        let dx = &mut dx[block.clone()];
                        dx.fill(0.0);
                        for window in windows.over(t) {
                            let (dy, winners) = (&dy[window * step..], &winners[window * step..]);
                            give(&dy[block.clone()], &winners[block.clone()], t as u32, dx);
                        }
                    }
                },
            );
        });
    }
}
