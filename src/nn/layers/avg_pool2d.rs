//! Mean over windows of images `[C, H, W, N]`.

use serde::{Deserialize, Serialize};

use super::window::{Pixels, Pooling, covered};
use super::{Example, Examples, IMAGE};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, Window, for_each_row, rows, rows_mut, vectorise};

/// Mean pooling. A window that extends over an edge divides by the number of pixels it covers, without
/// padding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AvgPool2d(pub Pooling);

impl Examples for AvgPool2d {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "avg_pool2d", "kernel": 2}"#, inputs: &[IMAGE] }];
}

impl WithoutMatrix for AvgPool2d {}

impl Describe for AvgPool2d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let Window { channels, output: (height, width), .. } = self.0.window(inputs)?;
        Ok(Shape::Image { channels, height, width })
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Mean { window: self.0.window(inputs)? }))
    }
}

struct Mean {
    window: Window,
}

/// Number of samples whose sums are computed in parallel in registers.
const SIDE_BY_SIDE: usize = 32;

impl Mean {
    /// Calls `visit(position, pixels, 1 / their number)` for every window of one plane.
    #[inline(always)]
    fn windows(&self, mut visit: impl FnMut(usize, Pixels, f32)) {
        let w = &self.window;
        for p in 0..w.output.0 {
            let rows = covered(p, w.kernel.0, w.stride.0, w.padding.0, w.size.0);
            for q in 0..w.output.1 {
                let columns = covered(q, w.kernel.1, w.stride.1, w.padding.1, w.size.1);
                let share = 1.0 / (rows.len() * columns.len()) as f32;
                visit(p * w.output.1 + q, Pixels { rows: rows.clone(), columns, width: w.size.1 }, share);
            }
        }
    }
}

impl Layer for Mean {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, w) = (pass.batch, self.window);
        let planes = (rows(pass.x.get(0), w.size.0 * w.size.1 * n), rows_mut(pass.y, w.positions() * n));
        for_each_row(planes, |_, (plane, outputs)| {
            vectorise(
                #[inline(always)]
                || {
                    self.windows(
                        #[inline(always)]
                        |position, pixels, share| {
                            mean(share, plane, n, &pixels, &mut outputs[position * n..][..n]);
                        },
                    );
                },
            );
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let (n, w) = (pass.batch, self.window);
        let planes = (rows_mut(dx, w.size.0 * w.size.1 * n), rows(pass.dy, w.positions() * n));
        for_each_row(planes, |_, (plane, dy)| {
            plane.fill(0.0);
            vectorise(
                #[inline(always)]
                || {
                    self.windows(
                        #[inline(always)]
                        |position, pixels, share| {
                            let dy = &dy[position * n..][..n];
                            pixels.each(
                                #[inline(always)]
                                |pixel| add_share(share, dy, &mut plane[pixel * n..][..n]),
                            );
                        },
                    );
                },
            );
        });
    }
}

/// The mean of the window's pixels, sample by sample.
#[inline(always)]
fn mean(share: f32, plane: &[f32], n: usize, pixels: &Pixels, means: &mut [f32]) {
    let (wide, []) = means.as_chunks_mut::<SIDE_BY_SIDE>() else {
        // One loop over all samples is faster than one over most of them and one over the rest.
        means.fill(0.0);
        return pixels.each(
            #[inline(always)]
            |pixel| add_share(share, &plane[pixel * n..][..n], means),
        );
    };
    for (chunk, means) in wide.iter_mut().enumerate() {
        let mut sums = [0.0; SIDE_BY_SIDE];
        pixels.each(
            #[inline(always)]
            |pixel| add_share(share, &plane[pixel * n + chunk * SIDE_BY_SIDE..][..SIDE_BY_SIDE], &mut sums),
        );
        *means = sums;
    }
}

/// `sums += share * values`, over the samples of one pixel.
#[inline(always)]
pub(super) fn add_share(share: f32, values: &[f32], sums: &mut [f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += share * value);
}
