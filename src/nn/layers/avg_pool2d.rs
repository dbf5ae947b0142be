//! Mean over windows of images `[C, H, W, N]`.

use serde::{Deserialize, Serialize};

use super::window::{Pooling, covered};
use super::{Example, Examples, IMAGE};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, Describe, Forward, Layer};
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

impl Mean {
    /// Calls `visit(position, pixel, 1 / pixels covered)` for every pixel of every window of one plane.
    #[inline(always)]
    fn visit(&self, mut visit: impl FnMut(usize, usize, f32)) {
        let w = &self.window;
        for p in 0..w.output.0 {
            let rows = covered(p, w.kernel.0, w.stride.0, w.padding.0, w.size.0);
            for q in 0..w.output.1 {
                let columns = covered(q, w.kernel.1, w.stride.1, w.padding.1, w.size.1);
                let share = 1.0 / (rows.len() * columns.len()) as f32;
                for at in rows.clone().flat_map(|h| columns.clone().map(move |v| h * w.size.1 + v)) {
                    visit(p * w.output.1 + q, at, share);
                }
            }
        }
    }
}

impl Layer for Mean {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, w) = (pass.batch, self.window);
        let planes = (rows(pass.x.get(0), w.size.0 * w.size.1 * n), rows_mut(pass.y, w.positions() * n));
        for_each_row(planes, |_, (plane, outputs)| {
            outputs.fill(0.0);
            vectorise(
                #[inline(always)]
                || {
                    self.visit(|position, pixel, share| {
                        add_share(share, &plane[pixel * n..][..n], &mut outputs[position * n..][..n]);
                    })
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
                    self.visit(|position, pixel, share| {
                        add_share(share, &dy[position * n..][..n], &mut plane[pixel * n..][..n]);
                    })
                },
            );
        });
    }
}

/// `sums += share * values`, over the samples of one pixel.
#[inline(always)]
fn add_share(share: f32, values: &[f32], sums: &mut [f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += share * value);
}
